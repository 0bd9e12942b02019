//! Properties of every order of events.

use crate::model::{Event, Life, Outcome};
use podbay_core::limits;
use podbay_core::pod::{Decision, Resource};
use podbay_core::published::PodStatus;
use proptest::prelude::*;
use std::time::Duration;

fn outcomes() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        12 => Just(Outcome::Done),
        2 => Just(Outcome::NotSent),
        2 => Just(Outcome::Lost),
        2 => Just(Outcome::LostUndone),
        2 => Just(Outcome::Transient),
        1 => Just(Outcome::Permanent),
        1 => Just(Outcome::CrashBefore),
        1 => Just(Outcome::CrashAfter),
        1 => Just(Outcome::Cancelled),
    ]
}

fn events() -> impl Strategy<Value = Event> {
    prop_oneof![
        40 => outcomes().prop_map(Event::Step),
        1 => outcomes().prop_map(Event::StepAndDelete),
        12 => Just(Event::Due),
        4 => (0i64..70_000).prop_map(Event::Clock),
        1 => (-4_000_000i64..4_000_000).prop_map(Event::Clock),
        1 => Just(Event::Delete),
        8 => Just(Event::Suspect),
        6 => any::<bool>().prop_map(Event::Die),
        1 => Just(Event::Vanish),
        1 => Just(Event::Revive),
        2 => any::<bool>().prop_map(|is_lost| Event::Host { is_lost }),
    ]
}

/// What must hold once nothing goes wrong any more and nothing is left to do.
fn check_rest(life: &Life) {
    let (pod, bill) = (&life.pod, life.billed_from);
    match pod.status() {
        PodStatus::Active => {
            assert_eq!(life.machines.keys().collect::<Vec<_>>(), [&pod.machine_name()]);
            assert!(life.is_running() && bill.is_some(), "ACTIVE runs and is billed: {life:?}");
            assert!(pod.placement.is_some());
        }
        PodStatus::Error => {
            assert!(bill.is_none());
            assert!(pod.failure.is_some());
            assert!(!life.is_running(), "what has failed is stopped: {life:?}");
            assert!(pod.placement.is_none(), "ERROR holds nothing: {life:?}");
            assert!(life.machines.is_empty() || pod.ready_at.is_some(), "but files: {life:?}");
        }
        PodStatus::Terminated => {
            assert!(life.machines.is_empty() && bill.is_none() && pod.placement.is_none());
            assert_eq!(pod.machine, Resource::Absent);
        }
        other => panic!("{other} is no state to rest in: {life:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    /// Safety is asserted at every event by the model; then liveness: once all goes well, the pod
    /// comes to rest soon, a delete ends it, and the world is empty.
    #[test]
    fn a_pod_is_safe_always_and_comes_to_rest_when_it_can(
        auto_restart in any::<bool>(),
        ssh in any::<bool>(),
        good in 0usize..6,
        events in prop::collection::vec(events(), 0..150),
    ) {
        let mut life = Life::new(auto_restart);
        (0..good).for_each(|_| life.event(Event::Step(Outcome::Done)));
        life.ssh = ssh;
        for event in events {
            life.event(event);
        }
        let waited = life.calm();
        prop_assert!(waited <= 5 * limits::BACKOFF_MAX, "rest only after {waited:?}");
        check_rest(&life);
        life.event(Event::Delete);
        let waited = life.calm();
        prop_assert!(waited.is_zero(), "a delete that waited {waited:?}");
        prop_assert_eq!(life.pod.status(), PodStatus::Terminated);
        check_rest(&life);
    }

}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever one call keeps answering, a pod that nobody deletes is ACTIVE or ERROR within the
    /// hour, and the host is not flooded with calls.
    #[test]
    fn a_pod_ends_somewhere_within_the_hour(
        outcome in prop_oneof![
            Just(Outcome::NotSent), Just(Outcome::Lost), Just(Outcome::LostUndone), Just(Outcome::Transient),
            Just(Outcome::Permanent),
        ],
        good in 0usize..6,
        looks_work in any::<bool>(),
    ) {
        let mut life = Life::new(false);
        let deadline = life.now.plus(limits::PROVISIONING_MAX + 2 * limits::BACKOFF_MAX);
        let mut steps = 0;
        while life.now < deadline && life.pod.status() == PodStatus::Provisioning {
            match life.plan() {
                Decision::Do(step) => {
                    let works = steps < good || looks_work && step == podbay_core::pod::Step::Inspect;
                    life.event(Event::Step(if works { Outcome::Done } else { outcome }));
                    steps += 1;
                    life.event(Event::Clock(1));
                }
                _ => life.event(Event::Due),
            }
        }
        prop_assert!(matches!(life.pod.status(), PodStatus::Active | PodStatus::Error), "{life:?}");
        // A minute of probing ten times a second, and then ever less.
        prop_assert!(life.calls < 1_600, "{} calls", life.calls);
    }
}

#[test]
fn a_delete_ends_from_wherever_it_comes() {
    // Every prefix of a life, with every way the last call may end.
    let outcomes =
        [Outcome::Done, Outcome::Lost, Outcome::LostUndone, Outcome::CrashBefore, Outcome::CrashAfter];
    for steps in 0..12 {
        for outcome in outcomes {
            for together in [false, true] {
                let mut life = Life::new(true);
                for _ in 0..steps {
                    life.event(Event::Step(Outcome::Done));
                }
                life.event(if together { Event::StepAndDelete(outcome) } else { Event::Step(outcome) });
                life.event(Event::Delete);
                let waited = life.calm();
                assert_eq!(life.pod.status(), PodStatus::Terminated);
                assert!(life.machines.is_empty());
                assert!(waited <= Duration::from_secs(1), "{waited:?}");
            }
        }
    }
}
