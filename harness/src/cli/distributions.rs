//! Distributions in files: percentiles as text for plotters, and an interval log that keeps every value.

use std::fs;
use std::path::Path;

use wavetank_reports::histogram;
use wavetank_reports::record::Histograms;
use wavetank_reports::time::Span;
use wavetank_scenarios::exit::Exit;

use super::Stop;

/// The most letters of a name that are part of a file name: file systems take 255 bytes.
const LONGEST: usize = 100;

/// Makes a folder for distributions, before what they are of is made.
///
/// # Errors
/// When it cannot be made.
pub fn open(folder: &Path) -> Result<(), Stop> {
    fs::create_dir_all(folder).map_err(|error| {
        let message = format!(
            "the folder {} for distributions cannot be made: {error}",
            folder.display()
        );
        Stop::new(Exit::Usage, message)
    })
}

/// Writes all distributions of something into a folder of its name: `<of>.<metric>.hgrm` each, and all in `all.hlog`.
/// `length` is how long they were gathered.
///
/// # Errors
/// When a file cannot be written.
pub fn write(folder: &Path, name: &str, histograms: &Histograms, length: Span) -> Result<(), Stop> {
    let folder = folder.join(file_name(name));
    fs::create_dir_all(&folder)
        .map_err(|error| Stop::new(Exit::Invalid, format!("the folder {}: {error}", folder.display())))?;
    let put = |file: &str, text: &str| {
        let file = folder.join(file);
        fs::write(&file, text)
            .map_err(|error| Stop::new(Exit::Invalid, format!("{} cannot be written: {error}", file.display())))
    };
    let mut named = Vec::new();
    for (of, metrics) in histograms {
        for (metric, histogram) in metrics {
            let name = file_name(&format!("{of}.{metric}"));
            put(&format!("{name}.hgrm"), &histogram.to_hgrm())?;
            named.push((name, histogram));
        }
    }
    let log = histogram::to_log(named.iter().map(|(name, h)| (name.as_str(), *h)), length)
        .map_err(|error| Stop::new(Exit::Internal, error.to_string()))?;
    put("all.hlog", &log)
}

/// A name as part of a file name: what is no letter, digit, dot or dash becomes an underscore, and of a long one the hash
/// stands for the rest.
fn file_name(name: &str) -> String {
    let plain = |c: char| {
        if c.is_alphanumeric() || ".-".contains(c) {
            c
        } else {
            '_'
        }
    };
    if name.chars().count() <= LONGEST {
        return name.chars().map(plain).collect();
    }
    let hash = xxhash_rust::xxh3::xxh3_64(name.as_bytes());
    let first: String = name.chars().take(LONGEST - 17).map(plain).collect();
    format!("{first}-{hash:016x}")
}
