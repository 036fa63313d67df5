//! The judge must not know what it judges: the actors. Models it takes as they are: they are judged by what other programs
//! say of the same data.

#[test]
fn the_oracle_knows_the_script_and_the_models_and_never_the_actors() {
    let manifest = include_str!("../Cargo.toml");
    let ours: Vec<&str> = manifest
        .lines()
        .filter_map(|line| line.split(['.', ' ', '=']).next())
        .filter(|name| name.starts_with("wavetank-"))
        .collect();
    assert_eq!(ours, ["wavetank-scenarios", "wavetank-models"]);
}
