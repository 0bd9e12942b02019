//! A pod that was ACTIVE once.

use crate::table::check;

#[test]
fn a_machine_that_ends_is_an_error_and_billed_until_its_end() {
    check(
        "
        order → x
        image ok → x
        create ok → x
        start ok → x
        probe yes → x
        at +100s → x
        suspect → x
        inspect exited 1 -40s → x
        do → x
        do → x
        at +1h → x
        delete → x
        remove ok → x
        do → x
        ",
    );
}

#[test]
fn a_machine_that_runs_out_of_memory_is_an_error() {
    check(
        "
        order → x
        image ok → x
        create ok → x
        start ok → x
        probe yes → x
        at +100s → x
        suspect → x
        inspect oom → x
        do → x
        ",
    );
}

#[test]
fn an_end_before_the_bill_began_closes_it_at_its_beginning() {
    check(
        "
        order → x
        image ok → x
        create ok → x
        start ok → x
        at +10s → x
        probe yes → x
        suspect → x
        inspect exited 0 -30s → x
        do → x
        ",
    );
}

#[test]
fn a_machine_that_was_removed_outside_is_an_error() {
    check(
        "
        order → x
        image ok → x
        create ok → x
        start ok → x
        probe yes → x
        at +100s → x
        suspect → x
        inspect none → x
        do → x
        do → x
        delete → x
        do → x
        ",
    );
}

#[test]
fn a_suspicion_that_was_wrong_changes_nothing() {
    check(
        "
        order → x
        image ok → x
        create ok → x
        start ok → x
        probe yes → x
        at +100s → x
        suspect → x
        inspect running → x
        ",
    );
}

#[test]
fn an_engine_that_is_away_does_not_end_a_pod() {
    check(
        "
        order → x
        image ok → x
        create ok → x
        start ok → x
        probe yes → x
        suspect → x
        inspect notsent → x
        due → x
        at +3h → x
        suspect → x
        inspect notsent → x
        at +30s → x
        suspect → x
        inspect running → x
        ",
    );
}

#[test]
fn auto_restart_starts_five_times_and_then_gives_up() {
    check(
        "
        order restarting → x
        image ok → x
        create ok → x
        start ok → x
        probe yes → x
        at +10s → x
        suspect → x
        inspect exited 1 → x
        start ok → x
        due → x
        suspect → x
        inspect exited 1 → x
        start ok → x
        due → x
        suspect → x
        inspect exited 1 → x
        start ok → x
        due → x
        suspect → x
        inspect exited 1 → x
        start ok → x
        due → x
        suspect → x
        inspect exited 1 → x
        start ok → x
        due → x
        suspect → x
        inspect exited 1 → x
        do → x
        do → x
        ",
    );
}

#[test]
fn a_restart_whose_reply_was_lost_is_billed_and_counted() {
    check(
        "
        order restarting → x
        image ok → x
        create ok → x
        start ok → x
        probe yes → x
        at +10s → x
        suspect → x
        inspect exited 1 → x
        start lost → x
        due → x
        inspect running → x
        due → x
        at +10s → x
        delete → x
        remove ok → x
        do → x
        ",
    );
}

#[test]
fn restarts_that_are_all_lost_come_to_an_end() {
    check(
        "
        order restarting → x
        image ok → x
        create ok → x
        start ok → x
        probe yes → x
        at +10s → x
        suspect → x
        inspect exited 1 → x
        start lost → x
        due → x
        inspect exited 1 → x
        start notsent → x
        due → x
        inspect exited 1 → x
        start lost → x
        due → x
        inspect exited 1 → x
        start crash → x
        inspect created → x
        start lost → x
        due → x
        inspect exited 1 → x
        start lost → x
        due → x
        inspect exited 1 → x
        do → x
        ",
    );
}

#[test]
fn a_restart_that_is_refused_is_an_error_with_its_files_kept() {
    check(
        "
        order restarting → x
        image ok → x
        create ok → x
        start ok → x
        probe yes → x
        at +10s → x
        suspect → x
        inspect exited 1 → x
        start port → x
        inspect exited 1 → x
        do → x
        delete → x
        remove ok → x
        do → x
        ",
    );
}

#[test]
fn a_deleted_pod_is_never_started_again() {
    check(
        "
        order restarting → x
        image ok → x
        create ok → x
        start ok → x
        probe yes → x
        at +10s → x
        delete → x
        suspect → x
        inspect exited 1 → x
        remove ok → x
        do → x
        ",
    );
}

#[test]
fn somebody_else_may_start_what_is_to_be_started_again() {
    check(
        "
        order restarting → x
        image ok → x
        create ok → x
        start ok → x
        probe yes → x
        at +10s → x
        suspect → x
        inspect exited 1 → x
        suspect → x
        inspect running → x
        ",
    );
}
