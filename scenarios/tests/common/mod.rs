//! What tests of settings share.

use wavetank_scenarios::{LibraryFiles, Problem, Script};

/// What a small scenario is about: its pattern, the row that its source has, and the names of source, operator and sink.
pub struct About {
    pub pattern: &'static str,
    pub source: &'static str,
    pub row: &'static str,
    pub operator: &'static str,
    pub sink: &'static str,
}

/// One source, one operator with these settings, one sink, and more tables.
pub fn scenario(about: &About, settings: &str, more: &str) -> String {
    let About {
        pattern,
        source,
        row,
        operator,
        sink,
    } = about;
    format!(
        r#"schema  = 1
name    = "small"
pattern = "{pattern}"

[[source]]
name   = "{source}"
events = [{{ t = "1s", row = {row} }}]

[[operator]]
name    = "{operator}"
input   = ["{source}"]
{settings}

[[sink]]
name  = "{sink}"
input = ["{operator}"]
{more}
"#
    )
}

/// A scenario read, or what is wrong with it; each problem has a place and a help.
pub fn load(text: &str) -> Result<Script, Vec<String>> {
    let script = Script::load(text, "small.toml", &LibraryFiles, &[]);
    script.map_err(|problems| {
        let told = |p: &Problem| {
            assert!(p.line > 0 && p.column > 0, "{p:?}");
            format!("{}; {}", p.message, p.help.clone().expect("a help"))
        };
        problems.iter().map(told).collect()
    })
}
