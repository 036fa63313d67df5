//! A folder of its own for each test, and the command run in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use assert_cmd::Command;
use tempfile::TempDir;

/// Sensor readings above 50, over a link that a fault may disturb: `{fault}` and `{expect}` are to be filled in.
const SCENARIO: &str = r#"schema  = 1
name    = "readings"
pattern = "filter"
about   = "Readings above 50 pass."

[time]
length = "20s"
seed   = 7

[[source]]
name   = "sensors"
rate   = "10/s"
fields = { value = { uniform = [0, 100] } }

[[operator]]
name   = "high"
input  = ["sensors"]
filter = "value > 50"
watermark = { behind = "1s" }

[[sink]]
name  = "board"
input = ["high"]

[[link]]
from = "sensors"
to   = "high"
kind = "datagram"
"#;

const EQUAL: &str = "\n[[expect]]\nname = \"every high reading is shown\"\nfinal = \"board == truth\"\n";

/// A folder with scenario files in it.
pub struct Place(TempDir);

impl Place {
    /// With `calm.toml`, which passes; `lossy.toml`, which fails; `silent.toml`, which is inconclusive because its fault
    /// never fires; `must-fail.toml`, which fails as it must; and `broken.toml`, which is not valid.
    pub fn new() -> Self {
        let place = Self(tempfile::tempdir().expect("a folder"));
        let fault = |rate: &str| {
            format!("\n[[fault]]\nid = \"loss\"\nkind = \"drop\"\non = \"sensors -> high\"\nrate = {rate}\n")
        };
        place.write("calm.toml", &format!("{SCENARIO}{EQUAL}"));
        place.write("lossy.toml", &format!("{SCENARIO}{}{EQUAL}", fault("0.2")));
        place.write("silent.toml", &format!("{SCENARIO}{}{EQUAL}", fault("0.0000001")));
        let must = SCENARIO.replace(
            "pattern = \"filter\"\n",
            "pattern = \"filter\"\nmust = \"fail\"\nbecause = [\"every high reading is shown\"]\n",
        );
        place.write("must-fail.toml", &format!("{must}{}{EQUAL}", fault("0.2")));
        place.write("broken.toml", &SCENARIO.replace("filter = \"value", "fliter = \"value"));
        place
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn join(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.join(name), text).expect("written");
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.join(name)).expect(name)
    }

    /// The command in this folder.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wavetank"));
        command
            .current_dir(self.path())
            .env("NO_COLOR", "1")
            .env_remove("CLICOLOR_FORCE")
            .args(args);
        command
    }

    /// Runs it to its end.
    pub fn run(&self, args: &[&str]) -> Ran {
        Ran::from(self.command(args).output().expect("it starts"))
    }

    /// The only run that is kept here.
    pub fn only_run(&self) -> PathBuf {
        let mut runs: Vec<_> = fs::read_dir(self.join(".wavetank/runs"))
            .expect("runs")
            .flatten()
            .collect();
        assert_eq!(runs.len(), 1, "{runs:?}");
        runs.remove(0).path()
    }
}

/// What the command left.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).expect("text"),
            err: String::from_utf8(output.stderr).expect("text"),
        }
    }
}

impl Ran {
    /// Fails unless it ended so.
    #[track_caller]
    pub fn ends(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "out: {}\nerr: {}", self.out, self.err);
        self
    }

    /// Both outputs, without what differs from run to run or follows from the trace of the day: wall times and hashes.
    pub fn screen(&self) -> String {
        let mut text = self.out.lines().map(steady).collect::<Vec<_>>().join("\n");
        if !self.err.is_empty() {
            text += &format!("\n--- stderr ---\n{}", self.err.trim_end());
        }
        text
    }
}

fn steady(line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    let is_hash = |word: &str| word.len() == 7 && word.chars().all(|c| c.is_ascii_hexdigit());
    // A status line ends with hash and cost.
    let filled: Vec<&str> = words.iter().copied().filter(|word| !word.is_empty()).collect();
    if let [.., hash, _cost] = filled.as_slice()
        && is_hash(hash)
    {
        return line[..line.rfind(hash).expect("it is there")].to_owned() + "<hash> <wall>";
    }
    let mut line = line.to_owned();
    if let (Some(run), Some(from)) = (line.find(" run"), line.find(" in "))
        && run < from
        && let Some(to) = line[from + 4..].find(':')
    {
        line.replace_range(from + 4..from + 4 + to, "<wall>");
    }
    if let Some(at) = line.find(".wavetank/runs/") {
        let end = line.rfind('-').filter(|end| *end > at).unwrap_or(line.len());
        line.replace_range(end.., "-<hash>");
    }
    if let Some(at) = line.find(": trace ") {
        line.replace_range(at + 8..at + 15, "<hash>");
    }
    line
}
