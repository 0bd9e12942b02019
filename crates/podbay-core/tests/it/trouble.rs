//! Clocks that jump, deletes that do not get through, calls that never answer.

use crate::table::check;

#[test]
fn a_clock_that_jumps_back_holds_nobody_up() {
    check(
        "
        order → x
        image stalled → x
        at -1h → x
        do → x
        image stalled → x
        at -20s → x
        due → x
        do → x
        image ok → x
        ",
    );
}

#[test]
fn a_clock_that_jumps_back_bills_nothing_negative() {
    check(
        "
        order → x
        image ok → x
        create ok → x
        start ok → x
        probe yes → x
        at -1h → x
        suspect → x
        inspect exited 1 → x
        do → x
        ",
    );
}

#[test]
fn a_clock_that_jumps_forward_leaves_a_running_pod_alone() {
    check(
        "
        order → x
        image ok → x
        create ok → x
        start ok → x
        probe yes → x
        at +1h → x
        suspect → x
        inspect running → x
        ",
    );
}

#[test]
fn a_delete_that_does_not_get_through_is_tried_until_it_does() {
    check(
        "
        order → x
        image ok → x
        create ok → x
        start ok → x
        probe yes → x
        delete → x
        remove notsent → x
        due → x
        inspect notsent → x
        due → x
        inspect running → x
        remove refused → x
        due → x
        inspect running → x
        remove ok → x
        do → x
        ",
    );
}

#[test]
fn a_delete_does_not_wait_for_what_the_installation_waited_for() {
    check(
        "
        order → x
        image ok → x
        create ok → x
        start ok → x
        probe no → x
        delete → x
        inspect running → x
        remove ok → x
        do → x
        ",
    );
}

#[test]
fn a_call_that_never_answers_is_made_ever_less_often() {
    check(
        "
        order → x
        image ok → x
        create lost → x
        due → x
        inspect none → x
        create lost → x
        due → x
        inspect none → x
        create lost → x
        due → x
        inspect none → x
        create lost → x
        due → x
        inspect none → x
        create ok → x
        start lost → x
        due → x
        inspect created → x
        start lost → x
        due → x
        inspect created → x
        start ok → x
        ",
    );
}

#[test]
fn a_failed_pod_looks_when_told_to_and_clears_away_what_is_not_its_own_any_more() {
    check(
        "
        order → x
        image missing → x
        do → x
        suspect → x
        inspect created → x
        remove ok → x
        ",
    );
}
