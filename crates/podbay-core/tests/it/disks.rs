//! A disk, held to its word: one row and a world that answers as badly as it may.

use crate::make::{self, START};
use podbay_core::disk::{
    Decision, Desired, Disk, Learned, Step, VolumeFact, learn, mark_unknown, mount_path, plan,
};
use podbay_core::pod::{CallError, FailureCode, Resource, UsageChange, View};
use podbay_core::published::PodStatus;
use podbay_core::{DiskId, HostId, Micros, Timestamp, UserId, limits};
use proptest::prelude::*;

/// How a call ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Done,
    NotSent,
    /// Answer lost, effect had.
    Lost,
    /// Answer lost, no effect.
    LostUndone,
    Transient,
    Permanent,
    /// The process ends after the doubt was written.
    CrashBefore,
    /// The process ends after the call, before the record.
    CrashAfter,
}

#[derive(Clone, Copy, Debug)]
enum Event {
    Step(Outcome),
    /// The delete verb writes between doubt and record.
    StepAndDelete(Outcome),
    Due,
    Clock(i64),
    Delete,
    Suspect,
    /// Somebody else takes the volume away.
    Vanish,
    /// And brings it back.
    Restore,
}

#[derive(Debug)]
struct Life {
    disk: Disk,
    now: Timestamp,
    /// The data on the volume: the number of the create that made it.
    volume: Option<u32>,
    taken_away: Option<u32>,
    /// It was brought back, and the row does not know yet.
    unseen: bool,
    creates: u32,
    billed: bool,
    view: View,
}

impl Life {
    fn new() -> Self {
        let disk = Disk {
            id: DiskId::from_bits(1),
            user_id: UserId::from_bits(1),
            team_id: None,
            host_id: HostId::from_bits(1),
            name: "one".into(),
            size_gb: 10,
            price_gb: Micros(100),
            desired: Desired::Present,
            generation: 1,
            volume: Resource::Absent,
            failure: None,
            ready_at: None,
            setbacks: 0,
            next_at: START,
            version: 1,
            created_at: START,
            updated_at: START,
            terminated_at: None,
        };
        Self {
            disk,
            now: START,
            volume: None,
            taken_away: None,
            unseen: false,
            creates: 0,
            billed: false,
            view: View::default(),
        }
    }

    fn plan(&self) -> Decision {
        plan(&self.disk, self.view, self.now)
    }

    fn event(&mut self, event: Event) {
        let before = self.disk.clone();
        match event {
            Event::Step(outcome) => self.step(outcome, false),
            Event::StepAndDelete(outcome) => self.step(outcome, true),
            Event::Due => {
                if let Decision::Wait { until } = self.plan() {
                    self.now = until;
                }
            }
            Event::Clock(millis) => self.now = Timestamp::from_millis(self.now.as_millis() + millis),
            Event::Delete => self.delete(),
            Event::Suspect => self.view.suspect = true,
            Event::Vanish => self.taken_away = self.volume.take().or(self.taken_away),
            // Of a disk that is deleted the sweep has it.
            Event::Restore if self.volume.is_none() && before.desired == Desired::Present => {
                self.volume = self.taken_away.take();
                self.unseen = self.volume.is_some();
            }
            Event::Restore => {}
        }
        self.check(&before);
    }

    fn delete(&mut self) {
        if self.disk.desired == Desired::Present {
            (self.disk.desired, self.disk.generation) = (Desired::Gone, self.disk.generation + 1);
            (self.disk.next_at, self.disk.setbacks) = (self.now, 0);
            self.billed = false;
        }
    }

    fn step(&mut self, outcome: Outcome, delete: bool) {
        let Decision::Do(step) = self.plan() else { return };
        self.check_step(&step);
        self.view.suspect = false;
        mark_unknown(&mut self.disk, &step, self.now);
        if outcome == Outcome::CrashBefore {
            return;
        }
        let learned = self.carry_out(&step, outcome);
        if delete {
            self.delete();
        }
        if outcome == Outcome::CrashAfter {
            return;
        }
        let status = self.disk.status();
        let effects = learn(&mut self.disk, learned, self.now);
        self.unseen &= !matches!(self.disk.volume, Resource::Present(_));
        match effects.usage {
            Some(UsageChange::Open { price, .. }) => {
                assert!(!self.billed, "{step:?} bills twice");
                assert_eq!(price, Micros(1_000), "ten GB at their price");
                self.billed = true;
            }
            Some(UsageChange::Close { .. }) => self.billed = false,
            Some(UsageChange::Cut { .. }) => panic!("the bill of a disk is never cut"),
            None => {}
        }
        assert_eq!(effects.release, step == Step::Finish);
        assert!(status == self.disk.status() || !effects.events.is_empty(), "{step:?} tells nobody");
    }

    fn check_step(&self, step: &Step) {
        let disk = &self.disk;
        let unknown = matches!(disk.volume, Resource::Unknown { .. });
        match step {
            Step::Create => {
                assert!(!unknown && disk.desired == Desired::Present && disk.failure.is_none());
                assert!(disk.ready_at.is_none(), "an empty volume in place of the user's data");
            }
            Step::Remove => assert!(!unknown && disk.desired == Desired::Gone),
            Step::Finish => {
                assert!(!unknown && disk.desired == Desired::Gone);
                assert!(self.volume.is_none() || self.unseen, "an end that leaves the volume");
            }
            Step::Fail(failure) => assert!(disk.ready_at.is_some() && !failure.text.is_empty()),
            Step::Inspect => {}
        }
    }

    fn carry_out(&mut self, step: &Step, outcome: Outcome) -> Learned {
        let failed: Option<CallError> = match outcome {
            Outcome::NotSent => Some(make::not_sent()),
            Outcome::Lost | Outcome::LostUndone => Some(make::lost()),
            Outcome::Transient => Some(make::refused(FailureCode::Engine, false)),
            Outcome::Permanent => Some(make::refused(FailureCode::Engine, true)),
            Outcome::Done | Outcome::CrashBefore | Outcome::CrashAfter => None,
        };
        if failed.is_none() || outcome == Outcome::Lost {
            match step {
                Step::Create if self.volume.is_none() => {
                    self.creates += 1;
                    self.volume = Some(self.creates);
                }
                Step::Remove => self.volume = None,
                _ => {}
            }
        }
        let name = self.disk.volume_name();
        let fact = self.volume.map(|_| VolumeFact { name, held_gb: None });
        match step {
            Step::Inspect => Learned::Inspected(failed.map_or(Ok(fact), Err)),
            Step::Create => Learned::Created(failed.map_or_else(|| Ok(fact.expect("it was made")), Err)),
            Step::Remove => Learned::Removed(failed.map_or(Ok(()), Err)),
            rows_only => Learned::Decided(rows_only.clone()),
        }
    }

    /// What must hold after every event.
    fn check(&self, before: &Disk) {
        let disk = &self.disk;
        let may_bill = disk.status() == PodStatus::Active;
        assert!(may_bill || !self.billed, "billed as {}", disk.status());
        assert!(before.ready_at.is_none() || disk.ready_at == before.ready_at, "ready is said once");
        assert!(before.terminated_at.is_none() || disk.terminated_at == before.terminated_at);
        assert!(disk.next_at.since(self.now) <= limits::BACKOFF_MAX || disk.next_at == before.next_at);
        let edge = (before.status(), disk.status());
        let drawn = matches!(
            edge,
            (PodStatus::Provisioning, PodStatus::Active | PodStatus::Error)
                | (PodStatus::Active, PodStatus::Error)
                | (PodStatus::Error, PodStatus::Active)
                | (PodStatus::Provisioning | PodStatus::Active | PodStatus::Error, PodStatus::Deleting)
                | (PodStatus::Deleting, PodStatus::Terminated)
        );
        assert!(drawn || edge.0 == edge.1, "{edge:?} is not in the diagram");
    }

    fn differs(&self) -> bool {
        match &self.disk.volume {
            Resource::Unknown { .. } => false,
            Resource::Absent => self.volume.is_some(),
            Resource::Present(_) => self.volume.is_none(),
        }
    }

    /// Everything goes well from now on, with a sweep whenever nothing is left to do.
    fn calm(&mut self) {
        const EVENTS_MAX: u32 = 100;
        for _ in 0..EVENTS_MAX {
            match self.plan() {
                Decision::Do(_) => self.event(Event::Step(Outcome::Done)),
                Decision::Wait { .. } => self.event(Event::Due),
                Decision::Settled if self.disk.terminated_at.is_none() && self.differs() => {
                    self.event(Event::Suspect);
                }
                Decision::Settled => {
                    // The sweep removes what a deleted disk has left.
                    self.volume = self.volume.filter(|_| self.disk.terminated_at.is_none());
                    return;
                }
            }
        }
        panic!("no rest after {EVENTS_MAX} events: {self:?}");
    }
}

fn outcomes() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        8 => Just(Outcome::Done),
        2 => Just(Outcome::NotSent),
        2 => Just(Outcome::Lost),
        2 => Just(Outcome::LostUndone),
        2 => Just(Outcome::Transient),
        1 => Just(Outcome::Permanent),
        1 => Just(Outcome::CrashBefore),
        1 => Just(Outcome::CrashAfter),
    ]
}

fn events() -> impl Strategy<Value = Event> {
    prop_oneof![
        20 => outcomes().prop_map(Event::Step),
        1 => outcomes().prop_map(Event::StepAndDelete),
        8 => Just(Event::Due),
        2 => (0i64..70_000).prop_map(Event::Clock),
        1 => (-4_000_000i64..4_000_000).prop_map(Event::Clock),
        1 => Just(Event::Delete),
        6 => Just(Event::Suspect),
        2 => Just(Event::Vanish),
        2 => Just(Event::Restore),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    /// Safety is asserted at every event; then liveness: once all goes well the disk comes to
    /// rest, and a delete ends it.
    #[test]
    fn a_disk_is_safe_always_and_comes_to_rest_when_it_can(events in prop::collection::vec(events(), 0..80)) {
        let mut life = Life::new();
        for event in events {
            life.event(event);
        }
        life.calm();
        match life.disk.status() {
            PodStatus::Active => prop_assert!(life.billed && life.volume.is_some(), "{life:?}"),
            PodStatus::Error => prop_assert!(!life.billed && life.disk.failure.is_some(), "{life:?}"),
            PodStatus::Terminated => prop_assert!(!life.billed && life.volume.is_none(), "{life:?}"),
            other => prop_assert!(false, "{other} is no state to rest in: {life:?}"),
        }
        life.event(Event::Delete);
        life.calm();
        prop_assert_eq!(life.disk.status(), PodStatus::Terminated);
        prop_assert_eq!(life.volume, None);
    }
}

fn ready() -> Life {
    let mut life = Life::new();
    life.event(Event::Step(Outcome::Done));
    assert_eq!((life.disk.status(), life.billed, life.volume), (PodStatus::Active, true, Some(1)));
    life
}

#[test]
fn a_volume_that_was_taken_away_is_an_error_until_it_is_back_and_never_made_anew() {
    let mut life = ready();
    life.event(Event::Vanish);
    life.calm();
    assert_eq!((life.disk.status(), life.billed), (PodStatus::Error, false));
    assert_eq!(life.disk.failure.as_ref().unwrap().code, FailureCode::DiskLost);
    assert_eq!(life.volume, None, "no empty one in its place");
    life.event(Event::Restore);
    life.calm();
    assert_eq!((life.disk.status(), life.billed, life.volume), (PodStatus::Active, true, Some(1)));
}

#[test]
fn a_create_whose_answer_is_lost_is_looked_for_before_it_is_repeated() {
    for outcome in [Outcome::Lost, Outcome::LostUndone, Outcome::CrashBefore, Outcome::CrashAfter] {
        let mut life = Life::new();
        life.event(Event::Step(outcome));
        life.event(Event::Due);
        assert_eq!(life.plan(), Decision::Do(Step::Inspect), "{outcome:?}");
        life.calm();
        assert_eq!((life.disk.status(), life.volume), (PodStatus::Active, Some(1)), "{outcome:?}");
    }
}

#[test]
fn a_refusal_for_good_is_an_error_and_another_one_is_tried_again() {
    let mut life = Life::new();
    life.event(Event::Step(Outcome::Transient));
    assert_eq!(life.disk.status(), PodStatus::Provisioning);
    assert!(matches!(life.plan(), Decision::Wait { .. }));
    life.event(Event::Due);
    life.event(Event::Step(Outcome::Permanent));
    assert_eq!((life.disk.status(), life.plan()), (PodStatus::Error, Decision::Settled));
}

#[test]
fn an_engine_that_stays_away_is_asked_ever_less_often() {
    let mut life = Life::new();
    let mut asked = 0;
    while life.now.since(START).as_secs() < 3600 {
        match life.plan() {
            Decision::Do(_) => {
                life.event(Event::Step(Outcome::NotSent));
                asked += 1;
            }
            _ => life.event(Event::Due),
        }
    }
    assert!(asked < 140, "{asked} calls in an hour");
}

#[test]
fn disks_are_mounted_side_by_side() {
    let paths: Vec<String> = (0..3).map(mount_path).collect();
    assert_eq!(paths, ["/workspace", "/workspace-2", "/workspace-3"]);
}
