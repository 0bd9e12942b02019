//! Clocks that jump, deletes that do not get through, calls that never answer.

use crate::make;
use crate::table::check;
use podbay_core::limits;
use podbay_core::pod::{Decision, Learned, Pod, Resource, Step, View, backoff, learn, plan};
use std::time::Duration;

#[test]
fn a_clock_that_jumps_back_holds_nobody_up() {
    check(
        "
        order            → EnsureImage            PROVISIONING 0% 1/5
        image stalled    → Wait 0.5               PROVISIONING 0% 1/5 attempt.failed
        at -1h           → NextAttempt            PROVISIONING 0% 1/5
        do               → EnsureImage            PROVISIONING 0% 2/5 attempt.started
        image stalled    → Wait 2                 PROVISIONING 0% 2/5 attempt.failed
        at -20s          → Wait 22                PROVISIONING 0% 2/5
        due              → NextAttempt            PROVISIONING 0% 2/5
        do               → EnsureImage            PROVISIONING 0% 3/5 attempt.started
        image ok         → Create                 PROVISIONING 70% 3/5 image.ready ports
        ",
    );
}

#[test]
fn a_clock_that_jumps_back_bills_nothing_negative() {
    check(
        "
        order            → EnsureImage            PROVISIONING 0% 1/5
        image ok         → Create                 PROVISIONING 70% 1/5 image.ready ports
        create ok        → Start                  PROVISIONING 80% 1/5 machine.created
        start ok         → Probe                  PROVISIONING 90% 1/5
        probe yes        → Settled                ACTIVE 100% 1/5 pod.active bill+
        at -1h           → Settled                ACTIVE 100% 1/5
        suspect          → Inspect                ACTIVE 100% 1/5
        inspect exited 1 → Fail MachineExited     ACTIVE 100% 1/5 bill-0
        do               → Release                ERROR 100% 1/5 pod.failed
        ",
    );
}

#[test]
fn a_clock_that_jumps_forward_leaves_a_running_pod_alone() {
    check(
        "
        order            → EnsureImage            PROVISIONING 0% 1/5
        image ok         → Create                 PROVISIONING 70% 1/5 image.ready ports
        create ok        → Start                  PROVISIONING 80% 1/5 machine.created
        start ok         → Probe                  PROVISIONING 90% 1/5
        probe yes        → Settled                ACTIVE 100% 1/5 pod.active bill+
        at +1h           → Settled                ACTIVE 100% 1/5
        suspect          → Inspect                ACTIVE 100% 1/5
        inspect running  → Settled                ACTIVE 100% 1/5
        ",
    );
}

#[test]
fn a_delete_that_does_not_get_through_is_tried_until_it_does() {
    check(
        "
        order            → EnsureImage            PROVISIONING 0% 1/5
        image ok         → Create                 PROVISIONING 70% 1/5 image.ready ports
        create ok        → Start                  PROVISIONING 80% 1/5 machine.created
        start ok         → Probe                  PROVISIONING 90% 1/5
        probe yes        → Settled                ACTIVE 100% 1/5 pod.active bill+
        delete           → Remove                 DELETING 100% 1/5 bill-0
        remove notsent   → Wait 0.5               DELETING 100% 1/5 host.trouble
        due              → Inspect                DELETING 100% 1/5
        inspect notsent  → Wait 1                 DELETING 100% 1/5
        due              → Inspect                DELETING 100% 1/5
        inspect running  → Remove                 DELETING 100% 1/5
        remove refused   → Wait 2                 DELETING 100% 1/5
        due              → Inspect                DELETING 100% 1/5
        inspect running  → Remove                 DELETING 100% 1/5
        remove ok        → Finish                 DELETING 100% 1/5
        do               → Settled                TERMINATED 100% 1/5 pod.terminated release
        ",
    );
}

#[test]
fn a_delete_does_not_wait_for_what_the_installation_waited_for() {
    check(
        "
        order            → EnsureImage            PROVISIONING 0% 1/5
        image ok         → Create                 PROVISIONING 70% 1/5 image.ready ports
        create ok        → Start                  PROVISIONING 80% 1/5 machine.created
        start ok         → Probe                  PROVISIONING 90% 1/5
        probe no         → Wait 0.1               PROVISIONING 90% 1/5
        delete           → Inspect                DELETING 90% 1/5
        inspect running  → Remove                 DELETING 90% 1/5
        remove ok        → Finish                 DELETING 90% 1/5
        do               → Settled                TERMINATED 90% 1/5 pod.terminated release
        ",
    );
}

#[test]
fn a_call_that_never_answers_is_made_ever_less_often() {
    check(
        "
        order            → EnsureImage            PROVISIONING 0% 1/5
        image ok         → Create                 PROVISIONING 70% 1/5 image.ready ports
        create lost      → Wait 0.5               PROVISIONING 70% 1/5 host.trouble
        due              → Inspect                PROVISIONING 70% 1/5
        inspect none     → Create                 PROVISIONING 70% 1/5
        create lost      → Wait 1                 PROVISIONING 70% 1/5
        due              → Inspect                PROVISIONING 70% 1/5
        inspect none     → Create                 PROVISIONING 70% 1/5
        create lost      → Wait 2                 PROVISIONING 70% 1/5
        due              → Inspect                PROVISIONING 70% 1/5
        inspect none     → Create                 PROVISIONING 70% 1/5
        create lost      → Wait 4                 PROVISIONING 70% 1/5
        due              → Inspect                PROVISIONING 70% 1/5
        inspect none     → Create                 PROVISIONING 70% 1/5
        create ok        → Start                  PROVISIONING 80% 1/5 machine.created
        start lost       → Wait 0.5               PROVISIONING 80% 1/5 host.trouble
        due              → Inspect                PROVISIONING 80% 1/5
        inspect created  → Start                  PROVISIONING 80% 1/5
        start lost       → Wait 1                 PROVISIONING 80% 1/5
        due              → Inspect                PROVISIONING 80% 1/5
        inspect created  → Start                  PROVISIONING 80% 1/5
        start ok         → Probe                  PROVISIONING 90% 1/5
        ",
    );
}

#[test]
fn a_failed_pod_looks_when_told_to_and_clears_away_what_is_not_its_own_any_more() {
    check(
        "
        order            → EnsureImage            PROVISIONING 0% 1/5
        image missing    → Release                ERROR 0% 1/5 pod.failed
        do               → Blocked                ERROR 0% 1/5 release
        suspect          → Inspect                ERROR 0% 1/5
        inspect created  → Remove                 ERROR 0% 1/5
        remove ok        → Blocked                ERROR 0% 1/5
        ",
    );
}

/// The text of the failure that is due.
#[track_caller]
fn failing(pod: &Pod, now: podbay_core::Timestamp) -> String {
    match plan(pod, View::default(), now) {
        Decision::Do(Step::Fail(failure)) => failure.text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn failures_say_what_happened_and_how_often_it_was_tried() {
    let stalled = make::refused(podbay_core::pod::FailureCode::ImagePull, false);
    let mut pod = make::pod(false);
    pod.attempt = limits::ATTEMPTS_MAX;
    let effects = learn(&mut pod, Learned::ImageEnsured(Err(stalled)), make::START);
    assert_eq!(effects.events, [("attempt.failed", "attempt 5 of 5 failed: ImagePull".to_owned())]);
    assert_eq!(failing(&pod, pod.next_at), "ImagePull (attempt 5 of 5)");
    let late = make::START.plus(limits::PROVISIONING_MAX + Duration::from_secs(1));
    assert_eq!(failing(&pod, late), "not ready within 60 minutes: ImagePull");
    let mut pod = make::pod(false);
    assert_eq!(failing(&pod, late), "not ready within 60 minutes: it was still starting");
    pod.machine = Resource::Unknown { since: make::START };
    assert_eq!(failing(&pod, late), "not ready within 60 minutes: the container engine does not answer");
}

#[test]
fn waits_double_between_their_bounds() {
    assert_eq!(backoff(1), limits::BACKOFF_MIN);
    let waits: Vec<Duration> = (1..100).map(backoff).collect();
    assert!(waits.windows(2).all(|two| two[1] == (two[0] * 2).min(limits::BACKOFF_MAX)));
    assert_eq!(backoff(u32::MAX), limits::BACKOFF_MAX);
}
