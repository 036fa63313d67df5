//! The README is kept true: its commands are run and print what it shows, its tables are those of the descriptors, its
//! scenario is the one in the library, and what it points to exists.

use std::path::Path;
use std::process::Command;

use wavetank_scenarios::exit::EXITS;
use wavetank_scenarios::fault::FAULTS;
use wavetank_scenarios::library::LIBRARY;
use wavetank_scenarios::pattern::PATTERNS;

const README: &str = include_str!("../../README.md");

/// A fenced block: what follows the fence, and its lines.
struct Block {
    info: &'static str,
    lines: Vec<&'static str>,
}

fn blocks() -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for line in README.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(info)) => open = Some(Block { info, lines: vec![] }),
            (Some(_), Some("")) => blocks.extend(open.take()),
            (Some(block), _) => block.lines.push(line),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block is not closed");
    blocks
}

/// A command of the README: what is typed, what it ends with, and what is shown of its output.
struct Shown {
    typed: &'static str,
    exit: i32,
    output: Vec<&'static str>,
}

/// The commands of all `console` blocks; `console exit=1` says that its last command ends with 1.
fn commands() -> Vec<Shown> {
    let mut all: Vec<Shown> = Vec::new();
    for block in blocks() {
        let Some(rest) = block.info.strip_prefix("console") else {
            continue;
        };
        let exit = rest
            .trim()
            .strip_prefix("exit=")
            .map_or(0, |code| code.parse().expect("a code"));
        let first = all.len();
        for line in &block.lines {
            match line.strip_prefix("$ ") {
                Some(typed) => all.push(Shown {
                    typed,
                    exit: 0,
                    output: vec![],
                }),
                None => all[first..]
                    .last_mut()
                    .expect("a command before its output")
                    .output
                    .push(line),
            }
        }
        all.last_mut().expect("a command").exit = exit;
    }
    all
}

/// Commands that are for the reader: they fetch, or run what is running now.
const NOT_RUN: &[&str] = &[
    "git clone ",
    "cd ",
    "cargo test ",
    "cargo doc ",
    "cargo bench ",
    "cargo install ",
];

#[test]
fn every_command_ends_as_annotated_and_prints_what_is_shown() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut ran = 0;
    for shown in commands() {
        if NOT_RUN.iter().any(|prefix| shown.typed.starts_with(prefix)) {
            assert!(shown.output.is_empty(), "nobody checks the output of `{}`", shown.typed);
            continue;
        }
        let ours = ["wavetank", "cargo run --release --"]
            .into_iter()
            .find_map(|start| shown.typed.strip_prefix(start));
        let ours = ours.unwrap_or_else(|| panic!("`{}` is not a command that is checked", shown.typed));
        // As much of a shell as the README needs.
        let (arguments, file) = ours
            .split_once('>')
            .map_or((ours, None), |(a, file)| (a, Some(file.trim())));
        let output = Command::new(env!("CARGO_BIN_EXE_wavetank"))
            .args(arguments.split_whitespace())
            .current_dir(folder.path())
            .output()
            .expect("it runs");
        let (out, err) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        assert_eq!(output.status.code(), Some(shown.exit), "`{}`\n{out}{err}", shown.typed);
        if let Some(file) = file {
            std::fs::write(folder.path().join(file), &output.stdout).expect("a file");
        }
        if !shown.output.is_empty() {
            compare(shown.typed, &shown.output, &out);
        }
        ran += 1;
    }
    assert!(ran >= 5, "only {ran} commands were run");
}

/// What is shown must be there, line by line and without a gap, but that a line `…` stands for any number of lines.
fn compare(typed: &str, shown: &[&str], came: &str) {
    let came: Vec<String> = came.lines().map(timeless).collect();
    let mut at = 0;
    let mut free = false;
    for line in shown {
        if *line == "…" {
            free = true;
            continue;
        }
        let line = timeless(line);
        let found = if free {
            came[at..].iter().position(|c| *c == line)
        } else {
            (came.get(at) == Some(&line)).then_some(0)
        };
        let Some(found) = found else {
            panic!("`{typed}` does not print\n{line}\nbut\n{}", came[at..].join("\n"))
        };
        at += found + 1;
        free = false;
    }
    let rest = came[at..].iter().any(|line| !line.is_empty());
    assert!(free || !rest, "`{typed}` prints more:\n{}", came[at..].join("\n"));
}

/// A line without trailing blanks and without what the run cost on this machine, which differs from run to run.
fn timeless(line: &str) -> String {
    let words = line.trim_end().split(' ');
    let wall = |word: &str| {
        let number = word.trim_end_matches(|c: char| c.is_alphabetic() || c == ',');
        let unit = &word[number.len()..];
        !number.is_empty()
            && number.parse::<f64>().is_ok()
            && ["s", "ms", "us", "µs"].contains(&unit.trim_end_matches(','))
    };
    // Two ways of saying it: `(0.73s)` and `in 1.5s`.
    let mut out: Vec<&str> = Vec::new();
    for word in words {
        let before = out.last().copied();
        let cost = before == Some("in") && wall(word);
        out.push(if cost { "…" } else { word });
    }
    out.join(" ")
}

#[test]
fn the_scenario_that_is_read_line_by_line_is_the_one_in_the_library() {
    let mut checked = 0;
    for block in blocks() {
        let Some(path) = block.info.strip_prefix("toml ") else {
            continue;
        };
        let entry = LIBRARY
            .find(path)
            .unwrap_or_else(|| panic!("`{path}` is not in the library"));
        let part = block.lines.join("\n");
        assert!(entry.text.contains(&part), "this is not in {path} any more:\n{part}");
        checked += 1;
    }
    assert!(checked > 0, "no scenario is read");
}

/// The rows of the table that begins with this heading, their cells trimmed.
fn table(heading: &str) -> Vec<Vec<&'static str>> {
    let rows = README.lines().skip_while(|line| !line.starts_with(heading)).skip(2);
    let cells = |line: &'static str| line.trim_matches('|').split('|').map(str::trim).collect();
    rows.take_while(|line| line.starts_with('|')).map(cells).collect()
}

#[test]
fn the_table_of_patterns_has_all_thirteen() {
    let rows = table("| pattern |");
    let wanted: Vec<_> = PATTERNS.iter().map(|p| (p.title, p.family.name())).collect();
    let said: Vec<_> = rows.iter().map(|row| (row[0], row[1])).collect();
    assert_eq!(said, wanted);
}

#[test]
fn the_table_of_faults_names_every_fault_at_its_place() {
    let rows = table("| on a |");
    let said: Vec<(String, String)> = rows
        .iter()
        .flat_map(|row| {
            row[1]
                .split('·')
                .map(|name| (row[0].to_owned(), name.trim().trim_matches('`').to_owned()))
        })
        .collect();
    let wanted: Vec<_> = FAULTS
        .iter()
        .map(|fault| (fault.place.name().to_owned(), fault.name.to_owned()))
        .collect();
    assert_eq!(said, wanted);
}

#[test]
fn the_table_of_scenarios_names_scenarios_and_their_twins() {
    let rows = table("| to see |");
    assert!(!rows.is_empty());
    for row in rows {
        let find = |cell: &str| {
            LIBRARY
                .find(cell.trim_matches('`'))
                .unwrap_or_else(|| panic!("{cell} is not there"))
        };
        let (passing, failing) = (find(row[1]), find(row[2]));
        assert!(
            failing.text.contains("must    = \"fail\"") && failing.text.contains(row[1]),
            "{}",
            failing.path
        );
        assert!(!passing.text.contains("must    = \"fail\""), "{}", passing.path);
    }
}

#[test]
fn the_table_of_exit_codes_is_that_of_the_command() {
    let said: Vec<_> = table("| code |")
        .iter()
        .map(|row| (row[0].to_owned(), row[1].to_owned()))
        .collect();
    let wanted: Vec<_> = EXITS
        .iter()
        .map(|exit| (exit.code.to_string(), exit.name.to_owned()))
        .collect();
    assert_eq!(said, wanted);
}

#[test]
fn every_path_that_is_pointed_to_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut checked = 0;
    for part in README.split("](").skip(1) {
        let target = part.split(')').next().unwrap_or_default();
        if target.contains("://") || target.starts_with('#') {
            continue;
        }
        assert!(root.join(target).exists(), "{target} does not exist");
        checked += 1;
    }
    assert!(checked > 3);
}
