//! What a person reads, at 80 columns.

use crate::support::{Place, Ran};

#[track_caller]
fn narrow(ran: &Ran) -> String {
    for line in ran.out.lines().chain(ran.err.lines()) {
        // Commands are to be copied, and stay whole.
        assert!(
            line.chars().count() <= 80 || line.contains("wavetank "),
            "too wide: {line}"
        );
    }
    ran.screen()
}

#[test]
fn without_arguments_it_says_what_it_is_and_what_to_try() {
    insta::assert_snapshot!(narrow(&Place::new().run(&[]).ends(0)));
}

#[test]
fn the_help_names_every_command() {
    insta::assert_snapshot!(narrow(&Place::new().run(&["-h"]).ends(0)));
}

#[test]
fn a_single_scenario_shows_everything() {
    insta::assert_snapshot!(narrow(&Place::new().run(&["run", "calm.toml"]).ends(0)));
}

#[test]
fn many_scenarios_are_a_line_each_and_what_went_wrong() {
    let args = ["run", "calm.toml", "must-fail.toml", "lossy.toml", "silent.toml"];
    insta::assert_snapshot!(narrow(&Place::new().run(&args).ends(1)));
}

#[test]
fn problems_are_shown_at_their_places() {
    let place = Place::new();
    let text = place
        .read("lossy.toml")
        .replace("[\"high\"]", "[\"hihg\"]")
        .replace("board == truth", "bord == truth");
    place.write("wrong.toml", &text);
    insta::assert_snapshot!(narrow(
        &place.run(&["check", "calm.toml", "broken.toml", "wrong.toml"]).ends(3)
    ));
}

#[test]
fn a_wrong_flag_and_a_missing_file_say_what_was_probably_meant() {
    let place = Place::new();
    let flag = place.run(&["run", "--sed", "3"]).ends(2);
    let file = place.run(&["run", "larg-transactions"]).ends(3);
    insta::assert_snapshot!(format!("{}\n\n{}", flag.screen(), file.screen()));
}

#[test]
fn a_verified_replay_and_a_walk_are_short() {
    let place = Place::new();
    place.run(&["run", "lossy.toml"]).ends(1);
    let verified = place.run(&["replay", "latest"]).ends(0);
    let walk = place
        .run(&["replay", "latest", "--until", "1s", "--lines", "6"])
        .ends(0);
    insta::assert_snapshot!(format!("{}\n\n{}", narrow(&verified), narrow(&walk)));
}
