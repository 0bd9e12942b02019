//! From the order to ACTIVE, and what comes between.

use crate::table::check;

#[test]
fn all_goes_well() {
    check(
        "
        order            → EnsureImage            PROVISIONING 0% 1/5
        image ok         → Create                 PROVISIONING 70% 1/5 image.ready ports
        create ok        → Start                  PROVISIONING 80% 1/5 machine.created
        start ok         → Probe                  PROVISIONING 90% 1/5
        at +1s           → Probe                  PROVISIONING 90% 1/5
        probe yes        → Settled                ACTIVE 100% 1/5 pod.active bill+
        at +10s          → Settled                ACTIVE 100% 1/5
        delete           → Remove                 DELETING 100% 1/5 bill-10
        remove ok        → Finish                 DELETING 100% 1/5
        do               → Settled                TERMINATED 100% 1/5 pod.terminated release
        ",
    );
}

#[test]
fn an_image_that_does_not_exist_is_an_error_at_once() {
    check(
        "
        order            → EnsureImage            PROVISIONING 0% 1/5
        image missing    → Release                ERROR 0% 1/5 pod.failed
        do               → Blocked                ERROR 0% 1/5 release
        delete           → Finish                 DELETING 0% 1/5
        do               → Settled                TERMINATED 0% 1/5 pod.terminated release
        ",
    );
}

#[test]
fn an_image_without_the_service_that_was_ordered_is_an_error_at_once() {
    check(
        "
        order            → EnsureImage            PROVISIONING 0% 1/5
        image ok         → Create                 PROVISIONING 70% 1/5 image.ready ports
        create ok        → Start                  PROVISIONING 80% 1/5 machine.created
        start ok         → Probe                  PROVISIONING 90% 1/5
        probe no         → Wait 0.1               PROVISIONING 90% 1/5
        due              → Inspect                PROVISIONING 90% 1/5
        inspect exited 117 → Remove               ERROR 90% 1/5 pod.failed
        remove ok        → Release                ERROR 90% 1/5
        do               → Blocked                ERROR 90% 1/5 release
        ",
    );
}

#[test]
fn a_fetch_that_breaks_is_tried_again_and_again_and_then_given_up() {
    check(
        "
        order            → EnsureImage            PROVISIONING 0% 1/5
        image stalled    → Wait 0.5               PROVISIONING 0% 1/5 attempt.failed
        due              → NextAttempt            PROVISIONING 0% 1/5
        do               → EnsureImage            PROVISIONING 0% 2/5 attempt.started
        image stalled    → Wait 2                 PROVISIONING 0% 2/5 attempt.failed
        due              → NextAttempt            PROVISIONING 0% 2/5
        do               → EnsureImage            PROVISIONING 0% 3/5 attempt.started
        image lost       → Wait 8                 PROVISIONING 0% 3/5 attempt.failed
        due              → NextAttempt            PROVISIONING 0% 3/5
        do               → EnsureImage            PROVISIONING 0% 4/5 attempt.started
        image full       → Wait 30                PROVISIONING 0% 4/5 attempt.failed
        due              → NextAttempt            PROVISIONING 0% 4/5
        do               → EnsureImage            PROVISIONING 0% 5/5 attempt.started
        image stalled    → Fail ImagePull         PROVISIONING 0% 5/5 attempt.failed
        do               → Release                ERROR 0% 5/5 pod.failed
        do               → Blocked                ERROR 0% 5/5 release
        ",
    );
}

#[test]
fn an_engine_that_is_away_costs_no_attempt() {
    check(
        "
        order            → EnsureImage            PROVISIONING 0% 1/5
        image notsent    → Wait 0.5               PROVISIONING 0% 1/5 host.trouble
        due              → EnsureImage            PROVISIONING 0% 1/5
        image notsent    → Wait 1                 PROVISIONING 0% 1/5
        due              → EnsureImage            PROVISIONING 0% 1/5
        image notsent    → Wait 2                 PROVISIONING 0% 1/5
        due              → EnsureImage            PROVISIONING 0% 1/5
        image ok         → Create                 PROVISIONING 70% 1/5 image.ready ports
        create notsent   → Wait 0.5               PROVISIONING 70% 1/5 host.trouble
        due              → Create                 PROVISIONING 70% 1/5
        create ok        → Start                  PROVISIONING 80% 1/5 machine.created
        start notsent    → Wait 0.5               PROVISIONING 80% 1/5 host.trouble
        due              → Inspect                PROVISIONING 80% 1/5
        inspect notsent  → Wait 1                 PROVISIONING 80% 1/5
        due              → Inspect                PROVISIONING 80% 1/5
        inspect created  → Start                  PROVISIONING 80% 1/5
        start ok         → Probe                  PROVISIONING 90% 1/5
        ",
    );
}

#[test]
fn a_create_whose_reply_was_lost_is_adopted() {
    check(
        "
        order            → EnsureImage            PROVISIONING 0% 1/5
        image ok         → Create                 PROVISIONING 70% 1/5 image.ready ports
        create lost      → Wait 0.5               PROVISIONING 70% 1/5 host.trouble
        due              → Inspect                PROVISIONING 70% 1/5
        inspect created  → Start                  PROVISIONING 70% 1/5
        start ok         → Probe                  PROVISIONING 90% 1/5
        probe yes        → Settled                ACTIVE 100% 1/5 pod.active bill+
        ",
    );
}

#[test]
fn a_create_whose_reply_was_lost_and_that_had_no_effect_is_done_again() {
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
        create ok        → Start                  PROVISIONING 80% 1/5 machine.created
        ",
    );
}

#[test]
fn a_crash_at_any_call_is_followed_by_a_look() {
    check(
        "
        order            → EnsureImage            PROVISIONING 0% 1/5
        image crash      → EnsureImage            PROVISIONING 0% 1/5
        image ok         → Create                 PROVISIONING 70% 1/5 image.ready ports
        create crash     → Inspect                PROVISIONING 70% 1/5
        inspect none     → Create                 PROVISIONING 70% 1/5
        create crash     → Inspect                PROVISIONING 70% 1/5
        inspect created  → Start                  PROVISIONING 70% 1/5
        start crash      → Inspect                PROVISIONING 70% 1/5
        inspect running  → Probe                  PROVISIONING 70% 1/5
        probe crash      → Probe                  PROVISIONING 70% 1/5
        probe yes        → Settled                ACTIVE 100% 1/5 pod.active bill+
        delete           → Remove                 DELETING 100% 1/5 bill-0
        remove crash     → Inspect                DELETING 100% 1/5
        inspect none     → Finish                 DELETING 100% 1/5
        do               → Settled                TERMINATED 100% 1/5 pod.terminated release
        ",
    );
}

#[test]
fn a_start_whose_reply_was_lost_may_have_started() {
    check(
        "
        order            → EnsureImage            PROVISIONING 0% 1/5
        image ok         → Create                 PROVISIONING 70% 1/5 image.ready ports
        create ok        → Start                  PROVISIONING 80% 1/5 machine.created
        start lost       → Wait 0.5               PROVISIONING 80% 1/5 host.trouble
        due              → Inspect                PROVISIONING 80% 1/5
        inspect running  → Probe                  PROVISIONING 80% 1/5
        probe yes        → Settled                ACTIVE 100% 1/5 pod.active bill+
        ",
    );
}

#[test]
fn a_port_that_is_taken_gives_an_attempt_with_other_ports() {
    check(
        "
        order            → EnsureImage            PROVISIONING 0% 1/5
        image ok         → Create                 PROVISIONING 70% 1/5 image.ready ports
        create ok        → Start                  PROVISIONING 80% 1/5 machine.created
        start port       → Wait 0.5               PROVISIONING 80% 1/5 attempt.failed
        due              → Inspect                PROVISIONING 80% 1/5
        inspect created  → Remove                 PROVISIONING 80% 1/5
        remove ok        → NextAttempt            PROVISIONING 80% 1/5
        do               → EnsureImage            PROVISIONING 0% 2/5 attempt.started
        image ok         → Create                 PROVISIONING 70% 2/5 image.ready ports
        create ok        → Start                  PROVISIONING 80% 2/5 machine.created
        start ok         → Probe                  PROVISIONING 90% 2/5
        probe yes        → Settled                ACTIVE 100% 2/5 pod.active bill+
        ",
    );
}

#[test]
fn an_image_that_vanished_is_fetched_again() {
    check(
        "
        order            → EnsureImage            PROVISIONING 0% 1/5
        image ok         → Create                 PROVISIONING 70% 1/5 image.ready ports
        create vanished  → Wait 0.5               PROVISIONING 70% 1/5 attempt.failed
        due              → NextAttempt            PROVISIONING 70% 1/5
        do               → EnsureImage            PROVISIONING 0% 2/5 attempt.started
        image ok         → Create                 PROVISIONING 70% 2/5 image.ready ports
        ",
    );
}

#[test]
fn a_machine_that_dies_before_ssh_is_cleared_away_and_made_again_not_at_once() {
    check(
        "
        order            → EnsureImage            PROVISIONING 0% 1/5
        image ok         → Create                 PROVISIONING 70% 1/5 image.ready ports
        create ok        → Start                  PROVISIONING 80% 1/5 machine.created
        start ok         → Probe                  PROVISIONING 90% 1/5
        probe no         → Wait 0.1               PROVISIONING 90% 1/5
        due              → Inspect                PROVISIONING 90% 1/5
        inspect exited 1 → Wait 0.5               PROVISIONING 90% 1/5 attempt.failed
        due              → Remove                 PROVISIONING 90% 1/5
        remove ok        → NextAttempt            PROVISIONING 90% 1/5
        do               → EnsureImage            PROVISIONING 0% 2/5 attempt.started
        image ok         → Create                 PROVISIONING 70% 2/5 image.ready ports
        create ok        → Start                  PROVISIONING 80% 2/5 machine.created
        start ok         → Probe                  PROVISIONING 90% 2/5
        probe no         → Wait 0.1               PROVISIONING 90% 2/5
        due              → Inspect                PROVISIONING 90% 2/5
        inspect oom      → Wait 2                 PROVISIONING 90% 2/5 attempt.failed
        due              → Remove                 PROVISIONING 90% 2/5
        remove ok        → NextAttempt            PROVISIONING 90% 2/5
        do               → EnsureImage            PROVISIONING 0% 3/5 attempt.started
        ",
    );
}

#[test]
fn a_machine_that_is_never_reached_is_given_up_after_its_time() {
    check(
        "
        order            → EnsureImage            PROVISIONING 0% 1/5
        image ok         → Create                 PROVISIONING 70% 1/5 image.ready ports
        create ok        → Start                  PROVISIONING 80% 1/5 machine.created
        start ok         → Probe                  PROVISIONING 90% 1/5
        probe no         → Wait 0.1               PROVISIONING 90% 1/5
        due              → Inspect                PROVISIONING 90% 1/5
        inspect running  → Probe                  PROVISIONING 90% 1/5
        at +1m           → Probe                  PROVISIONING 90% 1/5
        probe no         → Wait 0.5               PROVISIONING 90% 1/5 attempt.failed
        due              → Remove                 PROVISIONING 90% 1/5
        remove ok        → NextAttempt            PROVISIONING 90% 1/5
        do               → EnsureImage            PROVISIONING 0% 2/5 attempt.started
        ",
    );
}

#[test]
fn a_refusal_for_good_ends_in_an_error_that_holds_nothing() {
    check(
        "
        order            → EnsureImage            PROVISIONING 0% 1/5
        image ok         → Create                 PROVISIONING 70% 1/5 image.ready ports
        create ok        → Start                  PROVISIONING 80% 1/5 machine.created
        start never      → Inspect                ERROR 80% 1/5 pod.failed
        inspect created  → Remove                 ERROR 80% 1/5
        remove lost      → Wait 0.5               ERROR 80% 1/5 host.trouble
        due              → Inspect                ERROR 80% 1/5
        inspect none     → Release                ERROR 80% 1/5
        do               → Blocked                ERROR 80% 1/5 release
        ",
    );
    check(
        "
        order            → EnsureImage            PROVISIONING 0% 1/5
        image ok         → Create                 PROVISIONING 70% 1/5 image.ready ports
        create never     → Release                ERROR 70% 1/5 pod.failed
        do               → Blocked                ERROR 70% 1/5 release
        ",
    );
}

#[test]
fn an_hour_is_the_end() {
    check(
        "
        order            → EnsureImage            PROVISIONING 0% 1/5
        image stalled    → Wait 0.5               PROVISIONING 0% 1/5 attempt.failed
        at +61m          → Fail Deadline          PROVISIONING 0% 1/5
        do               → Release                ERROR 0% 1/5 pod.failed
        do               → Blocked                ERROR 0% 1/5 release
        ",
    );
    check(
        "
        order            → EnsureImage            PROVISIONING 0% 1/5
        image ok         → Create                 PROVISIONING 70% 1/5 image.ready ports
        create ok        → Start                  PROVISIONING 80% 1/5 machine.created
        start ok         → Probe                  PROVISIONING 90% 1/5
        at +61m          → Fail Deadline          PROVISIONING 90% 1/5
        do               → Remove                 ERROR 90% 1/5 pod.failed
        remove ok        → Release                ERROR 90% 1/5
        do               → Blocked                ERROR 90% 1/5 release
        ",
    );
}

#[test]
fn an_hour_is_the_end_also_while_nobody_knows_of_the_machine() {
    check(
        "
        order            → EnsureImage            PROVISIONING 0% 1/5
        image ok         → Create                 PROVISIONING 70% 1/5 image.ready ports
        create lost      → Wait 0.5               PROVISIONING 70% 1/5 host.trouble
        due              → Inspect                PROVISIONING 70% 1/5
        inspect notsent  → Wait 1                 PROVISIONING 70% 1/5
        at +61m          → Fail Deadline          PROVISIONING 70% 1/5
        do               → Inspect                ERROR 70% 1/5 pod.failed
        inspect notsent  → Wait 2                 ERROR 70% 1/5
        due              → Inspect                ERROR 70% 1/5
        inspect created  → Remove                 ERROR 70% 1/5
        remove ok        → Release                ERROR 70% 1/5
        do               → Blocked                ERROR 70% 1/5 release
        ",
    );
}

#[test]
fn a_delete_ends_from_every_state_of_the_installation() {
    // While the image is fetched.
    check(
        "
        order            → EnsureImage            PROVISIONING 0% 1/5
        delete           → Finish                 DELETING 0% 1/5
        do               → Settled                TERMINATED 0% 1/5 pod.terminated release
        ",
    );
    // While nobody knows whether there is a machine.
    check(
        "
        order            → EnsureImage            PROVISIONING 0% 1/5
        image ok         → Create                 PROVISIONING 70% 1/5 image.ready ports
        create lost      → Wait 0.5               PROVISIONING 70% 1/5 host.trouble
        delete           → Inspect                DELETING 70% 1/5
        inspect created  → Remove                 DELETING 70% 1/5
        remove lost      → Wait 0.5               DELETING 70% 1/5 host.trouble
        due              → Inspect                DELETING 70% 1/5
        inspect none     → Finish                 DELETING 70% 1/5
        do               → Settled                TERMINATED 70% 1/5 pod.terminated release
        ",
    );
    // While it waits.
    check(
        "
        order            → EnsureImage            PROVISIONING 0% 1/5
        image stalled    → Wait 0.5               PROVISIONING 0% 1/5 attempt.failed
        due              → NextAttempt            PROVISIONING 0% 1/5
        do               → EnsureImage            PROVISIONING 0% 2/5 attempt.started
        image stalled    → Wait 2                 PROVISIONING 0% 2/5 attempt.failed
        delete           → Finish                 DELETING 0% 2/5
        do               → Settled                TERMINATED 0% 2/5 pod.terminated release
        ",
    );
    // After the start.
    check(
        "
        order            → EnsureImage            PROVISIONING 0% 1/5
        image ok         → Create                 PROVISIONING 70% 1/5 image.ready ports
        create ok        → Start                  PROVISIONING 80% 1/5 machine.created
        start ok         → Probe                  PROVISIONING 90% 1/5
        delete           → Remove                 DELETING 90% 1/5
        remove ok        → Finish                 DELETING 90% 1/5
        do               → Settled                TERMINATED 90% 1/5 pod.terminated release
        ",
    );
    // Between the attempts.
    check(
        "
        order            → EnsureImage            PROVISIONING 0% 1/5
        image ok         → Create                 PROVISIONING 70% 1/5 image.ready ports
        create ok        → Start                  PROVISIONING 80% 1/5 machine.created
        start port       → Wait 0.5               PROVISIONING 80% 1/5 attempt.failed
        delete           → Inspect                DELETING 80% 1/5
        inspect created  → Remove                 DELETING 80% 1/5
        remove ok        → Finish                 DELETING 80% 1/5
        do               → Settled                TERMINATED 80% 1/5 pod.terminated release
        ",
    );
}
