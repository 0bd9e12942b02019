//! A pod that was ACTIVE once.

use crate::table::check;

#[test]
fn a_machine_that_ends_is_an_error_and_billed_until_its_end() {
    check(
        "
        order            → EnsureImage            PROVISIONING 0% 1/5
        image ok         → Create                 PROVISIONING 70% 1/5 image.ready ports
        create ok        → Start                  PROVISIONING 80% 1/5 machine.created
        start ok         → Probe                  PROVISIONING 90% 1/5
        probe yes        → Settled                ACTIVE 100% 1/5 pod.active bill+
        at +100s         → Settled                ACTIVE 100% 1/5
        suspect          → Inspect                ACTIVE 100% 1/5
        inspect exited 1 -40s → Fail MachineExited     ACTIVE 100% 1/5 bill-60
        do               → Release                ERROR 100% 1/5 pod.failed
        do               → Blocked                ERROR 100% 1/5 release
        at +1h           → Blocked                ERROR 100% 1/5
        delete           → Remove                 DELETING 100% 1/5
        remove ok        → Finish                 DELETING 100% 1/5
        do               → Settled                TERMINATED 100% 1/5 pod.terminated release
        ",
    );
}

#[test]
fn a_machine_that_runs_out_of_memory_is_an_error() {
    check(
        "
        order            → EnsureImage            PROVISIONING 0% 1/5
        image ok         → Create                 PROVISIONING 70% 1/5 image.ready ports
        create ok        → Start                  PROVISIONING 80% 1/5 machine.created
        start ok         → Probe                  PROVISIONING 90% 1/5
        probe yes        → Settled                ACTIVE 100% 1/5 pod.active bill+
        at +100s         → Settled                ACTIVE 100% 1/5
        suspect          → Inspect                ACTIVE 100% 1/5
        inspect oom      → Fail MachineExited     ACTIVE 100% 1/5 bill-100
        do               → Release                ERROR 100% 1/5 pod.failed
        ",
    );
}

#[test]
fn an_end_before_the_bill_began_closes_it_at_its_beginning() {
    check(
        "
        order            → EnsureImage            PROVISIONING 0% 1/5
        image ok         → Create                 PROVISIONING 70% 1/5 image.ready ports
        create ok        → Start                  PROVISIONING 80% 1/5 machine.created
        start ok         → Probe                  PROVISIONING 90% 1/5
        at +10s          → Probe                  PROVISIONING 90% 1/5
        probe yes        → Settled                ACTIVE 100% 1/5 pod.active bill+
        suspect          → Inspect                ACTIVE 100% 1/5
        inspect exited 0 -30s → Fail MachineExited     ACTIVE 100% 1/5 bill-0
        do               → Release                ERROR 100% 1/5 pod.failed
        ",
    );
}

/// The host went down with the machine, and the engine does not know when.
#[test]
fn an_end_that_nobody_saw_is_billed_until_the_last_look() {
    check(
        "
        order            → EnsureImage            PROVISIONING 0% 1/5
        image ok         → Create                 PROVISIONING 70% 1/5 image.ready ports
        create ok        → Start                  PROVISIONING 80% 1/5 machine.created
        start ok         → Probe                  PROVISIONING 90% 1/5
        probe yes        → Settled                ACTIVE 100% 1/5 pod.active bill+
        at +100s         → Settled                ACTIVE 100% 1/5
        seen             → Settled                ACTIVE 100% 1/5
        at +1h           → Settled                ACTIVE 100% 1/5
        suspect          → Inspect                ACTIVE 100% 1/5
        inspect exited 0 ? → Fail MachineExited     ACTIVE 100% 1/5 bill-100
        do               → Release                ERROR 100% 1/5 pod.failed
        ",
    );
}

#[test]
fn a_machine_that_was_removed_outside_is_an_error() {
    check(
        "
        order            → EnsureImage            PROVISIONING 0% 1/5
        image ok         → Create                 PROVISIONING 70% 1/5 image.ready ports
        create ok        → Start                  PROVISIONING 80% 1/5 machine.created
        start ok         → Probe                  PROVISIONING 90% 1/5
        probe yes        → Settled                ACTIVE 100% 1/5 pod.active bill+
        at +90s          → Settled                ACTIVE 100% 1/5
        seen             → Settled                ACTIVE 100% 1/5
        at +10s          → Settled                ACTIVE 100% 1/5
        suspect          → Inspect                ACTIVE 100% 1/5
        inspect none     → Fail MachineLost       ACTIVE 100% 1/5 bill-90
        do               → Release                ERROR 100% 1/5 pod.failed
        do               → Blocked                ERROR 100% 1/5 release
        delete           → Finish                 DELETING 100% 1/5
        do               → Settled                TERMINATED 100% 1/5 pod.terminated release
        ",
    );
}

#[test]
fn a_suspicion_that_was_wrong_changes_nothing() {
    check(
        "
        order            → EnsureImage            PROVISIONING 0% 1/5
        image ok         → Create                 PROVISIONING 70% 1/5 image.ready ports
        create ok        → Start                  PROVISIONING 80% 1/5 machine.created
        start ok         → Probe                  PROVISIONING 90% 1/5
        probe yes        → Settled                ACTIVE 100% 1/5 pod.active bill+
        at +100s         → Settled                ACTIVE 100% 1/5
        suspect          → Inspect                ACTIVE 100% 1/5
        inspect running  → Settled                ACTIVE 100% 1/5
        ",
    );
}

#[test]
fn an_engine_that_is_away_does_not_end_a_pod() {
    check(
        "
        order            → EnsureImage            PROVISIONING 0% 1/5
        image ok         → Create                 PROVISIONING 70% 1/5 image.ready ports
        create ok        → Start                  PROVISIONING 80% 1/5 machine.created
        start ok         → Probe                  PROVISIONING 90% 1/5
        probe yes        → Settled                ACTIVE 100% 1/5 pod.active bill+
        suspect          → Inspect                ACTIVE 100% 1/5
        inspect notsent  → Wait 0.5               ACTIVE 100% 1/5 host.trouble
        due              → Settled                ACTIVE 100% 1/5
        at +3h           → Settled                ACTIVE 100% 1/5
        suspect          → Inspect                ACTIVE 100% 1/5
        inspect notsent  → Wait 1                 ACTIVE 100% 1/5
        at +30s          → Settled                ACTIVE 100% 1/5
        suspect          → Inspect                ACTIVE 100% 1/5
        inspect running  → Settled                ACTIVE 100% 1/5
        ",
    );
}

#[test]
fn auto_restart_starts_five_times_and_then_gives_up() {
    check(
        "
        order restarting → EnsureImage            PROVISIONING 0% 1/5
        image ok         → Create                 PROVISIONING 70% 1/5 image.ready ports
        create ok        → Start                  PROVISIONING 80% 1/5 machine.created
        start ok         → Probe                  PROVISIONING 90% 1/5
        probe yes        → Settled                ACTIVE 100% 1/5 pod.active bill+
        at +10s          → Settled                ACTIVE 100% 1/5
        suspect          → Inspect                ACTIVE 100% 1/5
        inspect exited 1 → Start                  ACTIVE 100% 1/5 bill-10
        start ok         → Wait 0.5               ACTIVE 100% 1/5 machine.restarted bill+
        due              → Settled                ACTIVE 100% 1/5
        suspect          → Inspect                ACTIVE 100% 1/5
        inspect exited 1 → Start                  ACTIVE 100% 1/5 bill-0.5
        start ok         → Wait 1                 ACTIVE 100% 1/5 machine.restarted bill+
        due              → Settled                ACTIVE 100% 1/5
        suspect          → Inspect                ACTIVE 100% 1/5
        inspect exited 1 → Start                  ACTIVE 100% 1/5 bill-1
        start ok         → Wait 2                 ACTIVE 100% 1/5 machine.restarted bill+
        due              → Settled                ACTIVE 100% 1/5
        suspect          → Inspect                ACTIVE 100% 1/5
        inspect exited 1 → Start                  ACTIVE 100% 1/5 bill-2
        start ok         → Wait 4                 ACTIVE 100% 1/5 machine.restarted bill+
        due              → Settled                ACTIVE 100% 1/5
        suspect          → Inspect                ACTIVE 100% 1/5
        inspect exited 1 → Start                  ACTIVE 100% 1/5 bill-4
        start ok         → Wait 8                 ACTIVE 100% 1/5 machine.restarted bill+
        due              → Settled                ACTIVE 100% 1/5
        suspect          → Inspect                ACTIVE 100% 1/5
        inspect exited 1 → Fail MachineExited     ACTIVE 100% 1/5 bill-8
        do               → Release                ERROR 100% 1/5 pod.failed
        do               → Blocked                ERROR 100% 1/5 release
        ",
    );
}

#[test]
fn restarts_are_counted_anew_after_ten_good_minutes() {
    check(
        "
        order restarting → EnsureImage            PROVISIONING 0% 1/5
        image ok         → Create                 PROVISIONING 70% 1/5 image.ready ports
        create ok        → Start                  PROVISIONING 80% 1/5 machine.created
        start ok         → Probe                  PROVISIONING 90% 1/5
        probe yes        → Settled                ACTIVE 100% 1/5 pod.active bill+
        at +10s          → Settled                ACTIVE 100% 1/5
        suspect          → Inspect                ACTIVE 100% 1/5
        inspect exited 1 → Start                  ACTIVE 100% 1/5 bill-10
        start ok         → Wait 0.5               ACTIVE 100% 1/5 machine.restarted bill+
        at +599s         → Settled                ACTIVE 100% 1/5
        suspect          → Inspect                ACTIVE 100% 1/5
        inspect exited 1 → Start                  ACTIVE 100% 1/5 bill-599
        start ok         → Wait 1                 ACTIVE 100% 1/5 machine.restarted bill+
        at +10m          → Settled                ACTIVE 100% 1/5
        suspect          → Inspect                ACTIVE 100% 1/5
        inspect exited 1 → Start                  ACTIVE 100% 1/5 bill-600
        start ok         → Wait 0.5               ACTIVE 100% 1/5 machine.restarted bill+
        at +20m          → Settled                ACTIVE 100% 1/5
        suspect          → Inspect                ACTIVE 100% 1/5
        inspect exited 1 -11m → Start             ACTIVE 100% 1/5 bill-540
        start ok         → Wait 1                 ACTIVE 100% 1/5 machine.restarted bill+
        ",
    );
}

#[test]
fn a_restart_whose_reply_was_lost_is_billed_and_counted() {
    check(
        "
        order restarting → EnsureImage            PROVISIONING 0% 1/5
        image ok         → Create                 PROVISIONING 70% 1/5 image.ready ports
        create ok        → Start                  PROVISIONING 80% 1/5 machine.created
        start ok         → Probe                  PROVISIONING 90% 1/5
        probe yes        → Settled                ACTIVE 100% 1/5 pod.active bill+
        at +10s          → Settled                ACTIVE 100% 1/5
        suspect          → Inspect                ACTIVE 100% 1/5
        inspect exited 1 → Start                  ACTIVE 100% 1/5 bill-10
        start lost       → Wait 0.5               ACTIVE 100% 1/5 host.trouble
        due              → Inspect                ACTIVE 100% 1/5
        inspect running  → Wait 0.5               ACTIVE 100% 1/5 machine.restarted bill+
        due              → Settled                ACTIVE 100% 1/5
        at +10s          → Settled                ACTIVE 100% 1/5
        delete           → Remove                 DELETING 100% 1/5 bill-10.5
        remove ok        → Finish                 DELETING 100% 1/5
        do               → Settled                TERMINATED 100% 1/5 pod.terminated release
        ",
    );
}

#[test]
fn restarts_that_are_all_lost_come_to_an_end() {
    check(
        "
        order restarting → EnsureImage            PROVISIONING 0% 1/5
        image ok         → Create                 PROVISIONING 70% 1/5 image.ready ports
        create ok        → Start                  PROVISIONING 80% 1/5 machine.created
        start ok         → Probe                  PROVISIONING 90% 1/5
        probe yes        → Settled                ACTIVE 100% 1/5 pod.active bill+
        at +10s          → Settled                ACTIVE 100% 1/5
        suspect          → Inspect                ACTIVE 100% 1/5
        inspect exited 1 → Start                  ACTIVE 100% 1/5 bill-10
        start lost       → Wait 0.5               ACTIVE 100% 1/5 host.trouble
        due              → Inspect                ACTIVE 100% 1/5
        inspect exited 1 → Start                  ACTIVE 100% 1/5
        start notsent    → Wait 1                 ACTIVE 100% 1/5
        due              → Inspect                ACTIVE 100% 1/5
        inspect exited 1 → Start                  ACTIVE 100% 1/5
        start lost       → Wait 2                 ACTIVE 100% 1/5
        due              → Inspect                ACTIVE 100% 1/5
        inspect exited 1 → Start                  ACTIVE 100% 1/5
        start crash      → Inspect                ACTIVE 100% 1/5
        inspect created  → Start                  ACTIVE 100% 1/5
        start lost       → Wait 4                 ACTIVE 100% 1/5
        due              → Inspect                ACTIVE 100% 1/5
        inspect exited 1 → Start                  ACTIVE 100% 1/5
        start lost       → Wait 8                 ACTIVE 100% 1/5
        due              → Inspect                ACTIVE 100% 1/5
        inspect exited 1 → Fail MachineExited     ACTIVE 100% 1/5
        do               → Release                ERROR 100% 1/5 pod.failed
        ",
    );
}

#[test]
fn a_restart_that_is_refused_is_an_error_with_its_files_kept() {
    check(
        "
        order restarting → EnsureImage            PROVISIONING 0% 1/5
        image ok         → Create                 PROVISIONING 70% 1/5 image.ready ports
        create ok        → Start                  PROVISIONING 80% 1/5 machine.created
        start ok         → Probe                  PROVISIONING 90% 1/5
        probe yes        → Settled                ACTIVE 100% 1/5 pod.active bill+
        at +10s          → Settled                ACTIVE 100% 1/5
        suspect          → Inspect                ACTIVE 100% 1/5
        inspect exited 1 → Start                  ACTIVE 100% 1/5 bill-10
        start port       → Inspect                ERROR 100% 1/5 pod.failed
        inspect exited 1 → Release                ERROR 100% 1/5
        do               → Blocked                ERROR 100% 1/5 release
        delete           → Remove                 DELETING 100% 1/5
        remove ok        → Finish                 DELETING 100% 1/5
        do               → Settled                TERMINATED 100% 1/5 pod.terminated release
        ",
    );
}

#[test]
fn a_deleted_pod_is_never_started_again() {
    check(
        "
        order restarting → EnsureImage            PROVISIONING 0% 1/5
        image ok         → Create                 PROVISIONING 70% 1/5 image.ready ports
        create ok        → Start                  PROVISIONING 80% 1/5 machine.created
        start ok         → Probe                  PROVISIONING 90% 1/5
        probe yes        → Settled                ACTIVE 100% 1/5 pod.active bill+
        at +10s          → Settled                ACTIVE 100% 1/5
        delete           → Remove                 DELETING 100% 1/5 bill-10
        suspect          → Inspect                DELETING 100% 1/5
        inspect exited 1 → Remove                 DELETING 100% 1/5
        remove ok        → Finish                 DELETING 100% 1/5
        do               → Settled                TERMINATED 100% 1/5 pod.terminated release
        ",
    );
}

/// Its machine ended while the engine could not be asked.
#[test]
fn a_deleted_pod_that_had_ended_is_billed_until_its_end() {
    check(
        "
        order            → EnsureImage            PROVISIONING 0% 1/5
        image ok         → Create                 PROVISIONING 70% 1/5 image.ready ports
        create ok        → Start                  PROVISIONING 80% 1/5 machine.created
        start ok         → Probe                  PROVISIONING 90% 1/5
        probe yes        → Settled                ACTIVE 100% 1/5 pod.active bill+
        at +100s         → Settled                ACTIVE 100% 1/5
        delete           → Remove                 DELETING 100% 1/5 bill-100
        remove exited 1 -40s → Remove             DELETING 100% 1/5 cut-40
        remove lost      → Wait 0.5               DELETING 100% 1/5 host.trouble
        due              → Inspect                DELETING 100% 1/5
        inspect exited 1 → Remove                 DELETING 100% 1/5
        remove ok        → Finish                 DELETING 100% 1/5
        do               → Settled                TERMINATED 100% 1/5 pod.terminated release
        ",
    );
}

/// A machine that is gone, or whose end nobody knows, may be so because of an earlier removal.
#[test]
fn only_an_end_that_the_engine_names_shortens_the_bill() {
    check(
        "
        order            → EnsureImage            PROVISIONING 0% 1/5
        image ok         → Create                 PROVISIONING 70% 1/5 image.ready ports
        create ok        → Start                  PROVISIONING 80% 1/5 machine.created
        start ok         → Probe                  PROVISIONING 90% 1/5
        probe yes        → Settled                ACTIVE 100% 1/5 pod.active bill+
        at +100s         → Settled                ACTIVE 100% 1/5
        delete           → Remove                 DELETING 100% 1/5 bill-100
        remove lost      → Wait 0.5               DELETING 100% 1/5 host.trouble
        due              → Inspect                DELETING 100% 1/5
        inspect exited 1 ? → Remove               DELETING 100% 1/5
        remove lost      → Wait 1                 DELETING 100% 1/5
        due              → Inspect                DELETING 100% 1/5
        inspect none     → Finish                 DELETING 100% 1/5
        do               → Settled                TERMINATED 100% 1/5 pod.terminated release
        ",
    );
}

/// Between its two runs nobody saw it.
#[test]
fn a_deleted_pod_that_was_restarted_and_had_ended_is_billed_until_it_was_last_seen() {
    check(
        "
        order            → EnsureImage            PROVISIONING 0% 1/5
        image ok         → Create                 PROVISIONING 70% 1/5 image.ready ports
        create ok        → Start                  PROVISIONING 80% 1/5 machine.created
        start ok         → Probe                  PROVISIONING 90% 1/5
        probe yes        → Settled                ACTIVE 100% 1/5 pod.active bill+
        at +60s          → Settled                ACTIVE 100% 1/5
        seen             → Settled                ACTIVE 100% 1/5
        at +40s          → Settled                ACTIVE 100% 1/5
        revived          → Settled                ACTIVE 100% 1/5
        at +10s          → Settled                ACTIVE 100% 1/5
        delete           → Remove                 DELETING 100% 1/5 bill-110
        remove exited 1 -5s → Remove              DELETING 100% 1/5 cut-50
        ",
    );
}

/// As when a start that was asked for twice has its effect twice, the second time late.
#[test]
fn a_deleted_pod_that_had_ended_and_runs_again_is_billed_until_it_was_last_seen() {
    check(
        "
        order            → EnsureImage            PROVISIONING 0% 1/5
        image ok         → Create                 PROVISIONING 70% 1/5 image.ready ports
        create ok        → Start                  PROVISIONING 80% 1/5 machine.created
        start ok         → Probe                  PROVISIONING 90% 1/5
        probe yes        → Settled                ACTIVE 100% 1/5 pod.active bill+
        at +60s          → Settled                ACTIVE 100% 1/5
        seen             → Settled                ACTIVE 100% 1/5
        at +40s          → Settled                ACTIVE 100% 1/5
        delete           → Remove                 DELETING 100% 1/5 bill-100
        at +10s          → Remove                 DELETING 100% 1/5
        revived          → Remove                 DELETING 100% 1/5
        remove running   → Remove                 DELETING 100% 1/5 cut-40
        remove ok        → Finish                 DELETING 100% 1/5
        do               → Settled                TERMINATED 100% 1/5 pod.terminated release
        ",
    );
}

#[test]
fn somebody_else_may_start_what_is_to_be_started_again() {
    check(
        "
        order restarting → EnsureImage            PROVISIONING 0% 1/5
        image ok         → Create                 PROVISIONING 70% 1/5 image.ready ports
        create ok        → Start                  PROVISIONING 80% 1/5 machine.created
        start ok         → Probe                  PROVISIONING 90% 1/5
        probe yes        → Settled                ACTIVE 100% 1/5 pod.active bill+
        at +10s          → Settled                ACTIVE 100% 1/5
        suspect          → Inspect                ACTIVE 100% 1/5
        inspect exited 1 → Start                  ACTIVE 100% 1/5 bill-10
        suspect          → Inspect                ACTIVE 100% 1/5
        inspect running  → Wait 0.5               ACTIVE 100% 1/5 machine.restarted bill+
        ",
    );
}

#[test]
fn a_failed_pod_whose_machine_runs_keeps_its_place_until_it_is_stopped() {
    check(
        "
        order restarting → EnsureImage            PROVISIONING 0% 1/5
        image ok         → Create                 PROVISIONING 70% 1/5 image.ready ports
        create ok        → Start                  PROVISIONING 80% 1/5 machine.created
        start ok         → Probe                  PROVISIONING 90% 1/5
        probe yes        → Settled                ACTIVE 100% 1/5 pod.active bill+
        at +10s          → Settled                ACTIVE 100% 1/5
        suspect          → Inspect                ACTIVE 100% 1/5
        inspect exited 1 → Start                  ACTIVE 100% 1/5 bill-10
        start never      → Inspect                ERROR 100% 1/5 pod.failed
        inspect running  → Stop                   ERROR 100% 1/5
        stop ok          → Wait 0.5               ERROR 100% 1/5
        due              → Inspect                ERROR 100% 1/5
        inspect exited 143 → Release              ERROR 100% 1/5
        do               → Blocked                ERROR 100% 1/5 release
        suspect          → Inspect                ERROR 100% 1/5
        inspect running  → Stop                   ERROR 100% 1/5
        ",
    );
}

#[test]
fn a_machine_that_never_comes_back_is_not_started_for_ever() {
    check(
        "
        order restarting → EnsureImage            PROVISIONING 0% 1/5
        image ok         → Create                 PROVISIONING 70% 1/5 image.ready ports
        create ok        → Start                  PROVISIONING 80% 1/5 machine.created
        start ok         → Probe                  PROVISIONING 90% 1/5
        probe yes        → Settled                ACTIVE 100% 1/5 pod.active bill+
        at +10s          → Settled                ACTIVE 100% 1/5
        seen             → Settled                ACTIVE 100% 1/5
        suspect          → Inspect                ACTIVE 100% 1/5
        inspect created  → Start                  ACTIVE 100% 1/5 bill-10
        start lost       → Wait 0.5               ACTIVE 100% 1/5 host.trouble
        due              → Inspect                ACTIVE 100% 1/5
        inspect created  → Start                  ACTIVE 100% 1/5
        start lost       → Wait 1                 ACTIVE 100% 1/5
        due              → Inspect                ACTIVE 100% 1/5
        inspect created  → Start                  ACTIVE 100% 1/5
        start lost       → Wait 2                 ACTIVE 100% 1/5
        due              → Inspect                ACTIVE 100% 1/5
        inspect created  → Start                  ACTIVE 100% 1/5
        start lost       → Wait 4                 ACTIVE 100% 1/5
        due              → Inspect                ACTIVE 100% 1/5
        inspect created  → Start                  ACTIVE 100% 1/5
        start lost       → Wait 8                 ACTIVE 100% 1/5
        due              → Inspect                ACTIVE 100% 1/5
        inspect created  → Fail MachineExited     ACTIVE 100% 1/5
        do               → Release                ERROR 100% 1/5 pod.failed
        do               → Blocked                ERROR 100% 1/5 release
        ",
    );
}

#[test]
fn a_machine_that_somebody_else_restarts_is_not_billed_for_the_gap() {
    check(
        "
        order            → EnsureImage            PROVISIONING 0% 1/5
        image ok         → Create                 PROVISIONING 70% 1/5 image.ready ports
        create ok        → Start                  PROVISIONING 80% 1/5 machine.created
        start ok         → Probe                  PROVISIONING 90% 1/5
        probe yes        → Settled                ACTIVE 100% 1/5 pod.active bill+
        at +60s          → Settled                ACTIVE 100% 1/5
        seen             → Settled                ACTIVE 100% 1/5
        at +40s          → Settled                ACTIVE 100% 1/5
        revived          → Settled                ACTIVE 100% 1/5
        at +10s          → Settled                ACTIVE 100% 1/5
        suspect          → Inspect                ACTIVE 100% 1/5
        inspect running  → Inspect                ACTIVE 100% 1/5 bill-60
        inspect running  → Wait 0.5               ACTIVE 100% 1/5 machine.restarted bill+
        due              → Settled                ACTIVE 100% 1/5
        ",
    );
}

#[test]
fn a_machine_that_was_restarted_and_ended_unseen_is_billed_until_it_was_last_seen() {
    check(
        "
        order            → EnsureImage            PROVISIONING 0% 1/5
        image ok         → Create                 PROVISIONING 70% 1/5 image.ready ports
        create ok        → Start                  PROVISIONING 80% 1/5 machine.created
        start ok         → Probe                  PROVISIONING 90% 1/5
        probe yes        → Settled                ACTIVE 100% 1/5 pod.active bill+
        at +60s          → Settled                ACTIVE 100% 1/5
        seen             → Settled                ACTIVE 100% 1/5
        at +40s          → Settled                ACTIVE 100% 1/5
        revived          → Settled                ACTIVE 100% 1/5
        at +10s          → Settled                ACTIVE 100% 1/5
        suspect          → Inspect                ACTIVE 100% 1/5
        inspect exited 1 → Fail MachineExited     ACTIVE 100% 1/5 bill-60
        ",
    );
}

#[test]
fn what_is_on_a_host_that_is_given_up_ends_when_it_was_last_seen_and_is_stopped_when_the_host_is_back() {
    check(
        "
        order            → EnsureImage            PROVISIONING 0% 1/5
        image ok         → Create                 PROVISIONING 70% 1/5 image.ready ports
        create ok        → Start                  PROVISIONING 80% 1/5 machine.created
        start ok         → Probe                  PROVISIONING 90% 1/5
        probe yes        → Settled                ACTIVE 100% 1/5 pod.active bill+
        at +60s          → Settled                ACTIVE 100% 1/5
        seen             → Settled                ACTIVE 100% 1/5
        at +1h           → Settled                ACTIVE 100% 1/5
        lost             → Fail EngineUnreachable ACTIVE 100% 1/5
        back             → Settled                ACTIVE 100% 1/5
        lost             → Fail EngineUnreachable ACTIVE 100% 1/5
        do               → Blocked                ERROR 100% 1/5 pod.failed bill-60
        suspect          → Blocked                ERROR 100% 1/5
        back             → Inspect                ERROR 100% 1/5
        inspect running  → Stop                   ERROR 100% 1/5
        stop notsent     → Wait 0.5               ERROR 100% 1/5 host.trouble
        due              → Inspect                ERROR 100% 1/5
        inspect running  → Stop                   ERROR 100% 1/5
        stop ok          → Wait 1                 ERROR 100% 1/5
        due              → Inspect                ERROR 100% 1/5
        inspect running  → Stop                   ERROR 100% 1/5
        stop ok          → Wait 2                 ERROR 100% 1/5
        due              → Inspect                ERROR 100% 1/5
        inspect exited 143 → Release              ERROR 100% 1/5
        do               → Blocked                ERROR 100% 1/5 release
        delete           → Remove                 DELETING 100% 1/5
        remove ok        → Finish                 DELETING 100% 1/5
        do               → Settled                TERMINATED 100% 1/5 pod.terminated release
        ",
    );
}
