//! From the order to ACTIVE, and what comes between.

use crate::table::check;

#[test]
fn all_goes_well() {
    check(
        "
        order → x
        image ok → x
        create ok → x
        start ok → x
        at +1s → x
        probe yes → x
        at +10s → x
        delete → x
        remove ok → x
        do → x
        ",
    );
}

#[test]
fn an_image_that_does_not_exist_is_an_error_at_once() {
    check(
        "
        order → x
        image missing → x
        do → x
        delete → x
        do → x
        ",
    );
}

#[test]
fn a_fetch_that_breaks_is_tried_again_and_again_and_then_given_up() {
    check(
        "
        order → x
        image stalled → x
        due → x
        do → x
        image stalled → x
        due → x
        do → x
        image lost → x
        due → x
        do → x
        image full → x
        due → x
        do → x
        image stalled → x
        due → x
        do → x
        do → x
        ",
    );
}

#[test]
fn an_engine_that_is_away_costs_no_attempt() {
    check(
        "
        order → x
        image notsent → x
        due → x
        image notsent → x
        due → x
        image notsent → x
        due → x
        image ok → x
        create notsent → x
        due → x
        create ok → x
        start notsent → x
        due → x
        inspect notsent → x
        due → x
        inspect created → x
        start ok → x
        ",
    );
}

#[test]
fn a_create_whose_reply_was_lost_is_adopted() {
    check(
        "
        order → x
        image ok → x
        create lost → x
        due → x
        inspect created → x
        start ok → x
        probe yes → x
        ",
    );
}

#[test]
fn a_create_whose_reply_was_lost_and_that_had_no_effect_is_done_again() {
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
        create ok → x
        ",
    );
}

#[test]
fn a_crash_at_any_call_is_followed_by_a_look() {
    check(
        "
        order → x
        image crash → x
        image ok → x
        create crash → x
        inspect none → x
        create crash → x
        inspect created → x
        start crash → x
        inspect running → x
        probe crash → x
        probe yes → x
        delete → x
        remove crash → x
        inspect none → x
        do → x
        ",
    );
}

#[test]
fn a_start_whose_reply_was_lost_may_have_started() {
    check(
        "
        order → x
        image ok → x
        create ok → x
        start lost → x
        due → x
        inspect running → x
        probe yes → x
        ",
    );
}

#[test]
fn a_port_that_is_taken_gives_an_attempt_with_other_ports() {
    check(
        "
        order → x
        image ok → x
        create ok → x
        start port → x
        due → x
        inspect created → x
        remove ok → x
        do → x
        image ok → x
        create ok → x
        start ok → x
        probe yes → x
        ",
    );
}

#[test]
fn an_image_that_vanished_is_fetched_again() {
    check(
        "
        order → x
        image ok → x
        create vanished → x
        due → x
        do → x
        image ok → x
        ",
    );
}

#[test]
fn a_machine_that_dies_before_ssh_is_cleared_away_and_made_again_not_at_once() {
    check(
        "
        order → x
        image ok → x
        create ok → x
        start ok → x
        probe no → x
        due → x
        inspect exited 1 → x
        due → x
        remove ok → x
        do → x
        image ok → x
        create ok → x
        start ok → x
        probe no → x
        due → x
        inspect oom → x
        due → x
        remove ok → x
        do → x
        ",
    );
}

#[test]
fn a_machine_that_is_never_reached_is_given_up_after_its_time() {
    check(
        "
        order → x
        image ok → x
        create ok → x
        start ok → x
        probe no → x
        due → x
        inspect running → x
        at +1m → x
        probe no → x
        due → x
        remove ok → x
        do → x
        ",
    );
}

#[test]
fn a_refusal_for_good_ends_in_an_error_that_holds_nothing() {
    check(
        "
        order → x
        image ok → x
        create ok → x
        start never → x
        inspect created → x
        remove lost → x
        due → x
        inspect none → x
        do → x
        ",
    );
    check(
        "
        order → x
        image ok → x
        create never → x
        do → x
        ",
    );
}

#[test]
fn an_hour_is_the_end() {
    check(
        "
        order → x
        image stalled → x
        at +61m → x
        do → x
        do → x
        ",
    );
    check(
        "
        order → x
        image ok → x
        create ok → x
        start ok → x
        at +61m → x
        do → x
        remove ok → x
        do → x
        ",
    );
}

#[test]
fn an_hour_is_the_end_also_while_nobody_knows_of_the_machine() {
    check(
        "
        order → x
        image ok → x
        create lost → x
        due → x
        inspect notsent → x
        at +61m → x
        do → x
        inspect notsent → x
        due → x
        inspect created → x
        remove ok → x
        do → x
        ",
    );
}

#[test]
fn a_delete_ends_from_every_state_of_the_installation() {
    // While the image is fetched.
    check(
        "
        order → x
        delete → x
        do → x
        ",
    );
    // While nobody knows whether there is a machine.
    check(
        "
        order → x
        image ok → x
        create lost → x
        delete → x
        inspect created → x
        remove lost → x
        due → x
        inspect none → x
        do → x
        ",
    );
    // While it waits.
    check(
        "
        order → x
        image stalled → x
        due → x
        do → x
        image stalled → x
        delete → x
        do → x
        ",
    );
    // After the start.
    check(
        "
        order → x
        image ok → x
        create ok → x
        start ok → x
        delete → x
        remove ok → x
        do → x
        ",
    );
    // Between the attempts.
    check(
        "
        order → x
        image ok → x
        create ok → x
        start port → x
        delete → x
        inspect created → x
        remove ok → x
        do → x
        ",
    );
}
