//! The judge must not know what it judges.

#[test]
fn the_oracle_depends_on_neither_actors_nor_models() {
    let manifest = include_str!("../Cargo.toml");
    let ours: Vec<&str> = manifest
        .lines()
        .filter_map(|line| line.split(['.', ' ', '=']).next())
        .filter(|name| name.starts_with("wavetank-"))
        .collect();
    assert_eq!(ours, ["wavetank-scenarios"]);
}
