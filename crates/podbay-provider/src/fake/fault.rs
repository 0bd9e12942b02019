//! What can go wrong with a call. A new kind of fault is one variant of [`Fault`], one line of
//! [`Swarm`], and one arm where the world meets it (`state`).

use podbay_core::Timestamp;
use podbay_core::pod::{CallError, FailureCode};
use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

/// The calls of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(usize)]
pub enum Call {
    /// `facts`.
    Facts,
    /// `ping`.
    Ping,
    /// `image_ensure`.
    ImageEnsure,
    /// `machine_create`.
    Create,
    /// `machine_start`.
    Start,
    /// `machine_inspect`.
    Inspect,
    /// `machine_list`.
    List,
    /// `machine_stop`.
    Stop,
    /// `machine_remove`.
    Remove,
    /// `machine_logs`.
    Logs,
    /// `machine_stats`.
    Stats,
    /// `files_put`.
    FilesPut,
    /// `volume_ensure`.
    VolumeEnsure,
    /// `volume_inspect`.
    VolumeInspect,
    /// `volume_list`.
    VolumeList,
    /// `volume_remove`.
    VolumeRemove,
    /// `dial`.
    Dial,
    /// `dial_published`.
    DialPublished,
}

impl Call {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::Facts,
        Self::Ping,
        Self::ImageEnsure,
        Self::Create,
        Self::Start,
        Self::Inspect,
        Self::List,
        Self::Stop,
        Self::Remove,
        Self::Logs,
        Self::Stats,
        Self::FilesPut,
        Self::VolumeEnsure,
        Self::VolumeInspect,
        Self::VolumeList,
        Self::VolumeRemove,
        Self::Dial,
        Self::DialPublished,
    ];

    /// Whether it may change something that a later call sees.
    #[must_use]
    pub fn has_effect(self) -> bool {
        matches!(
            self,
            Self::ImageEnsure
                | Self::Create
                | Self::Start
                | Self::Stop
                | Self::Remove
                | Self::FilesPut
                | Self::VolumeEnsure
                | Self::VolumeRemove
        )
    }

    /// Whether it is about volumes, not about machines.
    pub(super) fn is_of_volumes(self) -> bool {
        matches!(self, Self::VolumeEnsure | Self::VolumeInspect | Self::VolumeList | Self::VolumeRemove)
    }

    /// Whether its effect may come after its answer was given up. Files are written by whoever
    /// answers, so theirs may not.
    #[must_use]
    pub fn can_be_late(self) -> bool {
        self.has_effect() && self != Self::FilesPut
    }
}

/// One thing that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The call does not get through; no effect.
    NotSent,
    /// The call has its effect, and its answer is lost.
    LostReply,
    /// The answer is lost, and the effect comes that much later. Like [`Fault::LostReply`] for a
    /// call whose effect cannot be late.
    LateEffect(Duration),
    /// The call is refused; trying again may help.
    RefusedTransient,
    /// The call is refused for good.
    RefusedPermanent(FailureCode),
    /// Refused: another program holds a host port.
    PortTaken,
    /// Refused: the host's disk is full.
    DiskFull,
    /// The engine answers nothing before that time. Machines run on and stay reachable.
    EngineDown(Timestamp),
    /// The host cannot be reached before that time, neither its engine nor its machines, which
    /// run on.
    HostGone(Timestamp),
    /// The host loses power: as [`Fault::HostGone`], and what ran has ended.
    HostReboots(Timestamp),
    /// The machine that the call is about, if it runs, ends first (any running machine, if the
    /// call is about none).
    MachineDies {
        /// Exit code.
        code: i64,
        /// For want of memory.
        oom: bool,
    },
    /// The machine that the call is about is first removed by somebody else (any machine, if the
    /// call is about none).
    MachineVanishes,
    /// Somebody removes all images from the host first.
    ImageVanishes,
    /// A fetch makes some progress and then breaks.
    PullStalls,
}

impl Fault {
    /// Whether a swarm may let this happen to that call.
    pub(super) fn fits(self, call: Call) -> bool {
        match self {
            Self::LateEffect(_) => call.can_be_late(),
            Self::RefusedTransient => {
                !matches!(call, Call::Facts | Call::Ping | Call::Dial | Call::DialPublished)
            }
            Self::RefusedPermanent(_) => {
                matches!(call, Call::ImageEnsure | Call::Create | Call::Start | Call::VolumeEnsure)
            }
            Self::PortTaken => matches!(call, Call::Create | Call::Start),
            Self::DiskFull => matches!(
                call,
                Call::ImageEnsure | Call::Create | Call::Start | Call::FilesPut | Call::VolumeEnsure
            ),
            Self::PullStalls => call == Call::ImageEnsure,
            _ => true,
        }
    }
}

/// How often each fault happens by itself, per call, from 0 to 1. The same seed and the same calls
/// give the same faults.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Swarm {
    /// Seed of the sequence.
    pub seed: u64,
    /// [`Fault::NotSent`].
    pub not_sent: f64,
    /// [`Fault::LostReply`].
    pub lost_reply: f64,
    /// [`Fault::LateEffect`].
    pub late_effect: f64,
    /// [`Fault::RefusedTransient`].
    pub refused_transient: f64,
    /// [`Fault::RefusedPermanent`].
    pub refused_permanent: f64,
    /// [`Fault::PortTaken`].
    pub port_taken: f64,
    /// [`Fault::DiskFull`].
    pub disk_full: f64,
    /// [`Fault::EngineDown`].
    pub engine_down: f64,
    /// [`Fault::HostGone`].
    pub host_gone: f64,
    /// [`Fault::HostReboots`].
    pub host_reboots: f64,
    /// [`Fault::MachineDies`].
    pub machine_dies: f64,
    /// [`Fault::MachineVanishes`].
    pub machine_vanishes: f64,
    /// [`Fault::ImageVanishes`].
    pub image_vanishes: f64,
    /// [`Fault::PullStalls`].
    pub pull_stalls: f64,
    /// Most that an effect is late.
    pub late_max: Duration,
    /// Most that an engine or a host is away.
    pub away_max: Duration,
}

impl Swarm {
    /// A world in which everything goes wrong at times.
    #[must_use]
    pub fn even(seed: u64) -> Self {
        Self {
            seed,
            not_sent: 0.04,
            lost_reply: 0.04,
            late_effect: 0.02,
            refused_transient: 0.03,
            refused_permanent: 0.003,
            port_taken: 0.02,
            disk_full: 0.01,
            engine_down: 0.002,
            host_gone: 0.001,
            host_reboots: 0.0005,
            machine_dies: 0.01,
            machine_vanishes: 0.003,
            image_vanishes: 0.003,
            pull_stalls: 0.03,
            late_max: Duration::from_secs(20),
            away_max: Duration::from_secs(40),
        }
    }

    /// A world of its own for each seed: some faults never happen in it, others far more often
    /// than in [`Swarm::even`]. Over many seeds this meets more than any mixture of all.
    #[must_use]
    pub fn drawn(seed: u64) -> Self {
        let mut chance = Chance::new(seed ^ 0x5EED_5EED);
        let mut swarm = Self::even(seed);
        swarm.late_max = [swarm.late_max, Duration::from_secs(5 * 60)][chance.below(2) as usize];
        swarm.away_max = [1, 40, 3600].map(Duration::from_secs)[chance.below(3) as usize];
        for rate in swarm.rates_mut() {
            *rate = match chance.below(4) {
                0 | 1 => 0.0,
                2 => *rate,
                _ => *rate * 4.0,
            };
        }
        swarm
    }

    fn rates_mut(&mut self) -> [&mut f64; 14] {
        [
            &mut self.not_sent,
            &mut self.lost_reply,
            &mut self.late_effect,
            &mut self.refused_transient,
            &mut self.refused_permanent,
            &mut self.port_taken,
            &mut self.disk_full,
            &mut self.engine_down,
            &mut self.host_gone,
            &mut self.host_reboots,
            &mut self.machine_dies,
            &mut self.machine_vanishes,
            &mut self.image_vanishes,
            &mut self.pull_stalls,
        ]
    }

    /// The fault at that place of [`Swarm::rates_mut`], its details drawn.
    fn fault(&self, place: usize, call: Call, now: Timestamp, chance: &mut Chance) -> Fault {
        let away = chance.up_to(self.away_max);
        match place {
            0 => Fault::NotSent,
            1 => Fault::LostReply,
            2 => Fault::LateEffect(chance.up_to(self.late_max)),
            3 => Fault::RefusedTransient,
            4 if call == Call::ImageEnsure => Fault::RefusedPermanent(FailureCode::ImageNotFound),
            4 => Fault::RefusedPermanent(FailureCode::Engine),
            5 => Fault::PortTaken,
            6 => Fault::DiskFull,
            7 => Fault::EngineDown(now.plus(away)),
            8 => Fault::HostGone(now.plus(away)),
            9 => Fault::HostReboots(now.plus(away)),
            10 => {
                let oom = chance.below(3) == 0;
                Fault::MachineDies { code: if oom { 137 } else { 1 }, oom }
            }
            11 => Fault::MachineVanishes,
            12 => Fault::ImageVanishes,
            _ => Fault::PullStalls,
        }
    }
}

/// A small generator (splitmix64): chance as a function of a seed.
#[derive(Clone, Debug)]
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ (bits >> 31)
    }

    /// A number below `end`, which is not 0.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.bits() % end
    }

    fn up_to(&mut self, most: Duration) -> Duration {
        let most = u64::try_from(most.as_millis()).unwrap_or(u64::MAX).max(1);
        Duration::from_millis(1 + self.below(most))
    }

    /// A number in 0..1.
    fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// The faults to come: those that were asked for, and the swarm.
#[derive(Debug, Default)]
pub(super) struct Faults {
    queued: [VecDeque<Fault>; Call::ALL.len()],
    swarm: Option<Box<Running>>,
    /// The swarm's faults that were met, by the number of their call.
    pub met: Vec<(u64, Call, Fault)>,
}

/// A swarm at work. Each call draws by itself, so that leaving one fault out changes no other.
#[derive(Debug)]
struct Running {
    swarm: Swarm,
    chance: Chance,
    calls: u64,
    left_out: BTreeSet<u64>,
}

impl Faults {
    pub(super) fn queue(&mut self, call: Call, fault: Fault) {
        self.queued[call as usize].push_back(fault);
    }

    pub(super) fn set_swarm(&mut self, swarm: Swarm, left_out: BTreeSet<u64>) {
        let chance = Chance::new(swarm.seed);
        self.swarm = Some(Box::new(Running { swarm, chance, calls: 0, left_out }));
    }

    pub(super) fn clear(&mut self) {
        let met = std::mem::take(&mut self.met);
        *self = Self { met, ..Self::default() };
    }

    /// A number from the swarm's sequence below `end`; 0 without a swarm.
    pub(super) fn pick(&mut self, end: usize) -> usize {
        let drawn = self.swarm.as_mut().map_or(0, |running| running.chance.bits());
        usize::try_from(drawn % (end.max(1) as u64)).unwrap_or(0)
    }

    /// What the next call of that kind meets.
    pub(super) fn next(&mut self, call: Call, now: Timestamp) -> Option<Fault> {
        if let Some(fault) = self.queued[call as usize].pop_front() {
            return Some(fault);
        }
        let running = self.swarm.as_mut()?;
        running.calls += 1;
        running.chance = Chance::new(running.swarm.seed ^ running.calls.wrapping_mul(0xD6E8_FEB8_6659_FD93));
        let mut left = running.chance.unit();
        let mut rates = running.swarm;
        for (place, rate) in rates.rates_mut().into_iter().enumerate() {
            if left < *rate {
                let fault = running.swarm.fault(place, call, now, &mut running.chance);
                if !fault.fits(call) || running.left_out.contains(&running.calls) {
                    return None;
                }
                self.met.push((running.calls, call, fault));
                return Some(fault);
            }
            left -= *rate;
        }
        None
    }
}

/// What a call meets before it is done.
#[derive(Debug)]
pub(super) enum Met {
    /// Nothing: it is done and answered.
    Nothing,
    /// It is not done; this is the answer.
    Fail(CallError),
    /// It is done, and the answer is lost.
    Lost,
    /// It is done then, and the answer is lost.
    Late(Timestamp),
}

pub(super) fn refused(code: FailureCode, permanent: bool, text: impl Into<String>) -> CallError {
    CallError::Refused { code, permanent, text: text.into() }
}

/// What a fault makes of the call itself.
pub(super) fn met(fault: Option<Fault>, call: Call, now: Timestamp) -> Met {
    let fail = |code, permanent, text: &str| Met::Fail(refused(code, permanent, text));
    match fault {
        Some(Fault::NotSent) => Met::Fail(CallError::NotSent("the connection was refused".into())),
        Some(Fault::LateEffect(after)) if call.can_be_late() => Met::Late(now.plus(after)),
        Some(Fault::LostReply | Fault::LateEffect(_)) => Met::Lost,
        Some(Fault::RefusedTransient) if call == Call::ImageEnsure => {
            fail(FailureCode::ImagePull, false, "the registry could not be reached")
        }
        Some(Fault::RefusedTransient) => fail(FailureCode::Engine, false, "the engine failed"),
        Some(Fault::RefusedPermanent(code)) => fail(code, true, "the engine refused for good"),
        Some(Fault::PortTaken) => {
            fail(FailureCode::PortTaken, false, "a host port is taken by another program")
        }
        Some(Fault::DiskFull) => fail(FailureCode::DiskFull, false, "the host's disk is full"),
        Some(Fault::PullStalls) if call == Call::ImageEnsure => {
            fail(FailureCode::ImagePull, false, "the fetch broke off")
        }
        _ => Met::Nothing,
    }
}
