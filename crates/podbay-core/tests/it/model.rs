//! One pod, the rows beside it, and a world that answers as badly as it may. [`Life::event`] does
//! one thing and asserts everything that must hold at that moment.

use crate::make;
use podbay_core::pod::{
    Decision, Desired, Effects, FailureCode, HostLost, Learned, MachineFact, MachinePhase, Pod, Resource,
    Step, UsageChange, View, has_gap, learn, mark_unknown, plan,
};
use podbay_core::published::PodStatus;
use podbay_core::{Timestamp, limits};
use std::collections::BTreeMap;
use std::time::Duration;

/// How a call ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
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
    /// Given up because the user changed their mind.
    Cancelled,
}

/// What happens next.
#[derive(Clone, Copy, Debug)]
pub enum Event {
    /// The due step is carried out.
    Step(Outcome),
    /// The same, and the delete verb writes between its doubt and its record.
    StepAndDelete(Outcome),
    /// The clock moves to the end of a wait.
    Due,
    /// The clock moves by milliseconds, either way.
    Clock(i64),
    Delete,
    Suspect,
    /// The machine ends by itself.
    Die(bool),
    /// Somebody else removes it.
    Vanish,
    /// Somebody else starts it.
    Revive,
    /// The owner gives the host up, or it has answered again.
    Host {
        is_lost: bool,
    },
}

#[derive(Debug)]
pub struct Life {
    pub pod: Pod,
    pub now: Timestamp,
    pub machines: BTreeMap<String, MachinePhase>,
    /// Whether SSH answers in running machines.
    pub ssh: bool,
    pub billed_from: Option<Timestamp>,
    /// Calls that went outside.
    pub calls: u32,
    view: View,
    restarts: u32,
}

impl Life {
    pub fn new(auto_restart: bool) -> Self {
        Self {
            pod: make::pod(auto_restart),
            now: make::START,
            machines: BTreeMap::new(),
            ssh: true,
            billed_from: None,
            calls: 0,
            view: View::default(),
            restarts: 0,
        }
    }

    pub fn plan(&self) -> Decision {
        plan(&self.pod, self.view, self.now)
    }

    pub fn event(&mut self, event: Event) {
        let before = self.pod.clone();
        match event {
            Event::Step(outcome) => self.step(outcome, false),
            Event::StepAndDelete(outcome) => self.step(outcome, true),
            Event::Due => {
                if let Decision::Wait { until, .. } = self.plan() {
                    self.now = until;
                }
            }
            Event::Clock(millis) => self.now = Timestamp::from_millis(self.now.as_millis() + millis),
            Event::Delete => self.delete(),
            Event::Suspect => self.view.suspect = true,
            Event::Die(oom) => {
                let (code, at) = (if oom { 137 } else { 1 }, Some(self.now));
                self.machines.values_mut().filter(|phase| runs(phase)).for_each(|phase| {
                    *phase = MachinePhase::Exited { code, oom, at, started_at: None };
                });
            }
            Event::Vanish => self.machines.clear(),
            Event::Host { is_lost } => {
                let (since, seen) = (self.now, Some(self.now));
                self.view.lost = is_lost.then_some(HostLost { since, seen });
            }
            Event::Revive => {
                let started_at = self.now;
                self.machines.values_mut().for_each(|phase| *phase = MachinePhase::Running { started_at });
            }
        }
        self.check(&before);
    }

    /// Whether a sweep would wake this pod.
    pub fn differs(&self) -> bool {
        let there = self.machines.get(&self.pod.machine_name());
        match (&self.pod.machine, there) {
            (Resource::Unknown { .. }, _) => false,
            (Resource::Absent, there) => there.is_some(),
            (Resource::Present(_), None) => true,
            (Resource::Present(row), Some(there)) => {
                std::mem::discriminant(&row.phase) != std::mem::discriminant(there)
            }
        }
    }

    pub fn is_running(&self) -> bool {
        self.machines.values().any(runs)
    }

    fn delete(&mut self) {
        let pod = &mut self.pod;
        if pod.desired == Desired::Gone || pod.terminated_at.is_some() {
            return;
        }
        (pod.desired, pod.generation) = (Desired::Gone, pod.generation + 1);
        (pod.next_at, pod.setbacks) = (self.now, 0);
        pod.updated_at = pod.updated_at.max(self.now);
        self.billed_from = None;
    }

    fn step(&mut self, outcome: Outcome, delete: bool) {
        let Decision::Do(step) = self.plan() else { return };
        self.check_step(&step);
        self.view.suspect = false;
        mark_unknown(&mut self.pod, &step, self.now);
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
        let before = self.pod.clone();
        let effects = learn(&mut self.pod, learned, self.now);
        self.take(&before, &step, &effects);
    }

    /// What must hold before a step.
    fn check_step(&mut self, step: &Step) {
        let pod = &self.pod;
        let unknown = matches!(pod.machine, Resource::Unknown { .. });
        assert!(
            self.now >= pod.next_at || pod.next_at.since(self.now) > limits::BACKOFF_MAX,
            "{step:?} too early"
        );
        match step {
            Step::Create | Step::Start => {
                assert!(!unknown, "{step:?} in doubt");
                assert_eq!(pod.desired, Desired::Running, "{step:?} of a deleted pod");
                assert_eq!(pod.failure, None, "{step:?} of a failed pod");
                assert_eq!(pod.attempt_failed, None, "{step:?} in a failed attempt");
                assert!(pod.placement.is_some(), "{step:?} without a place");
                if *step == Step::Create {
                    assert!(pod.ready_at.is_none(), "a second machine for a pod that had one");
                    assert!(matches!(pod.image, Resource::Present(_)));
                    assert!(self.machines.is_empty(), "two machines: {:?}", self.machines);
                }
            }
            Step::Remove => {
                assert!(!unknown, "a removal in doubt");
                let kept = pod.ready_at.is_some() && pod.desired == Desired::Running;
                assert!(!kept, "a removal of a user's files");
            }
            Step::Stop => {
                assert!(!unknown, "a stop in doubt");
                assert!(pod.failure.is_some() && pod.desired == Desired::Running, "a stop of what goes on");
                assert!(!pod.is_given_up() || self.view.lost.is_none(), "a stop on a host that is given up");
            }
            Step::NextAttempt => {
                assert_eq!(pod.machine, Resource::Absent);
                assert!(self.machines.is_empty(), "an attempt beside {:?}", self.machines);
            }
            Step::Release => {
                assert!(!unknown, "a release in doubt");
                assert!(pod.failure.is_some());
                let runs = matches!(&pod.machine, Resource::Present(machine) if runs(&machine.phase));
                assert!(!runs, "a release under a running machine");
            }
            Step::Finish => {
                assert_eq!((pod.desired, &pod.machine), (Desired::Gone, &Resource::Absent));
                assert!(self.machines.is_empty(), "an end that leaves {:?}", self.machines);
            }
            Step::Fail(failure) => assert!(!failure.text.is_empty()),
            Step::Inspect | Step::EnsureImage | Step::Probe => {}
        }
        self.calls +=
            u32::from(!matches!(step, Step::NextAttempt | Step::Release | Step::Finish | Step::Fail(_)));
    }

    fn carry_out(&mut self, step: &Step, outcome: Outcome) -> Learned {
        let image = *step == Step::EnsureImage;
        if outcome == Outcome::Cancelled && (image || *step == Step::Probe) {
            return Learned::Cancelled;
        }
        let failed = match outcome {
            Outcome::NotSent => Some(make::not_sent()),
            Outcome::Lost | Outcome::LostUndone => Some(make::lost()),
            Outcome::Transient if image => Some(make::refused(FailureCode::ImagePull, false)),
            Outcome::Transient => Some(make::refused(FailureCode::Engine, false)),
            Outcome::Permanent if image => Some(make::refused(FailureCode::ImageNotFound, true)),
            Outcome::Permanent => Some(make::refused(FailureCode::Engine, true)),
            _ => None,
        };
        if failed.is_none() || outcome == Outcome::Lost {
            self.effect(step);
        }
        let answer = |handle: String| failed.clone().map_or(Ok(handle), Err);
        let name = self.pod.machine_name();
        match step {
            Step::Inspect => {
                let found = failed.clone().map_or_else(|| Ok(self.fact()), Err);
                let has_gap = found.as_ref().is_ok_and(|fact| has_gap(&self.pod, fact.as_ref()));
                Learned::Inspected { found, last_seen: Some(self.now), has_gap }
            }
            Step::EnsureImage => Learned::ImageEnsured(failed.map_or_else(|| Ok(make::image()), Err)),
            Step::Create => Learned::Created(answer(name)),
            Step::Start if !self.machines.contains_key(&name) => Learned::Started(Err(
                failed.unwrap_or_else(|| make::refused(FailureCode::MachineLost, false))
            )),
            Step::Start => Learned::Started(answer(name)),
            Step::Probe => Learned::Probed(failed.is_none() && self.ssh && self.is_running()),
            Step::Stop => Learned::Stopped(answer(name).map(drop)),
            Step::Remove => Learned::Removed(answer(name).map(drop)),
            rows_only => Learned::Decided(rows_only.clone()),
        }
    }

    fn fact(&self) -> Option<MachineFact> {
        let (name, phase) = self.machines.get_key_value(&self.pod.machine_name())?;
        Some(MachineFact { handle: name.clone(), phase: phase.clone(), seen_at: self.now })
    }

    fn effect(&mut self, step: &Step) {
        let name = self.pod.machine_name();
        match step {
            Step::Create => {
                self.machines.insert(name, MachinePhase::Created);
            }
            Step::Start => {
                let started_at = self.now;
                if let Some(phase) = self.machines.get_mut(&name).filter(|phase| !runs(phase)) {
                    *phase = MachinePhase::Running { started_at };
                    self.restarts += u32::from(self.pod.ready_at.is_some());
                }
            }
            Step::Stop => {
                let at = Some(self.now);
                if let Some(phase) = self.machines.get_mut(&name).filter(|phase| runs(phase)) {
                    *phase = MachinePhase::Exited { code: 143, oom: false, at, started_at: None };
                }
            }
            Step::Remove => {
                self.machines.remove(&name);
            }
            _ => {}
        }
    }

    /// Takes effects as the rows do.
    fn take(&mut self, before: &Pod, step: &Step, effects: &Effects) {
        let pod = &self.pod;
        match effects.usage {
            Some(UsageChange::Open { at, .. }) => {
                assert!(self.billed_from.is_none(), "{step:?} bills twice");
                assert_eq!(at, self.now);
                self.billed_from = Some(at);
            }
            Some(UsageChange::Close { .. }) => self.billed_from = None,
            Some(UsageChange::Cut { at }) => {
                assert_eq!(pod.desired, Desired::Gone, "{step:?} takes from a bill that goes on");
                assert!(Some(at) >= pod.ready_at, "{step:?} ends a bill before it began");
            }
            None => {}
        }
        if before.status() != pod.status() {
            assert!(!effects.events.is_empty(), "{step:?} changes the status and tells nobody");
        }
        assert_eq!(
            effects.release,
            before.placement.is_some() && pod.placement.is_none() || *step == Step::Finish
        );
        if pod.next_at != before.next_at {
            assert!(pod.next_at.since(self.now) <= limits::BACKOFF_MAX);
        }
    }

    /// What must hold after every event.
    fn check(&mut self, before: &Pod) {
        let pod = &self.pod;
        assert!((1..=limits::ATTEMPTS_MAX).contains(&pod.attempt));
        assert!(pod.restarts <= limits::RESTARTS_MAX && self.restarts <= limits::RESTARTS_MAX);
        if pod.restarts < before.restarts {
            let Resource::Present(machine) = &before.machine else {
                panic!("restarts of no machine forgotten")
            };
            let MachinePhase::Running { started_at } = machine.phase else { panic!("{:?}", machine.phase) };
            // A clock that has jumped back before the beginning ends nothing before it.
            let now = pod.ready_at.map_or(self.now, |ready| ready.max(self.now));
            assert!(now.since(started_at) >= limits::RESTARTS_FORGOTTEN_AFTER, "forgotten too soon");
            self.restarts = 0;
        }
        assert!(pod.progress <= 100 && (pod.attempt > before.attempt || pod.progress >= before.progress));
        assert!(pod.attempt == before.attempt || pod.attempt == before.attempt + 1);
        assert!(pod.updated_at >= before.updated_at);
        assert!(before.failure.is_none() || pod.failure.is_some(), "a failure is final");
        assert!(before.ready_at.is_none() || pod.ready_at == before.ready_at, "ready is said once");
        assert!(before.placement.is_some() || pod.placement.is_none(), "what was given back is gone");
        let may_bill = pod.ready_at.is_some()
            && pod.failure.is_none()
            && pod.desired == Desired::Running
            && pod.terminated_at.is_none();
        assert!(may_bill || self.billed_from.is_none(), "billed without a reason");
        let edge = (before.status(), pod.status());
        let drawn = matches!(
            edge,
            (PodStatus::Provisioning, PodStatus::Active | PodStatus::Error)
                | (PodStatus::Active, PodStatus::Error)
                | (PodStatus::Provisioning | PodStatus::Active | PodStatus::Error, PodStatus::Deleting)
                | (PodStatus::Deleting, PodStatus::Terminated)
        );
        assert!(drawn || edge.0 == edge.1, "{edge:?} is not in the diagram");
    }

    /// Everything goes well from now on, with a sweep whenever nothing is left to do; returns when
    /// it finds nothing either. The time that this took.
    pub fn calm(&mut self) -> Duration {
        const EVENTS_MAX: u32 = 200;
        (self.ssh, self.view.lost) = (true, None);
        let mut waited = Duration::ZERO;
        for _ in 0..EVENTS_MAX {
            match self.plan() {
                Decision::Do(_) => self.event(Event::Step(Outcome::Done)),
                Decision::Wait { until, .. } => {
                    waited += until.since(self.now);
                    self.event(Event::Due);
                }
                Decision::Settled | Decision::Blocked(_) if self.differs() => self.event(Event::Suspect),
                Decision::Settled | Decision::Blocked(_) => return waited,
            }
        }
        panic!("no rest after {EVENTS_MAX} events: {:?}", self.pod);
    }
}

fn runs(phase: &MachinePhase) -> bool {
    matches!(phase, MachinePhase::Running { .. })
}
