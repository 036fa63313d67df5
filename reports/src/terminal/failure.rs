//! A broken expectation, explained in the order in which a person asks: what, when, which event, what instead, because of
//! which fault, decided by which line, how it looks, what to type, what could be changed.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::record::{Culprit, Expectation, Failure, Kind, Purpose, Record, ScriptLine};
use crate::text::{BAD, DIM, STRONG, TYPED, elide, hang, printable, styled};

/// Columns of the words in front.
const HEAD: usize = 15;

/// The explanation of an expectation that does not hold.
pub fn failure(record: &Record, expectation: &Expectation, width: usize) -> String {
    let width = width.max(60);
    let title = format!("{}: {}", record.scenario, expectation.name);
    let mut text = format!("{}\n", styled(BAD, hang("", &title, width)));
    if !expectation.text.is_empty() {
        let statement = match expectation.kind {
            Kind::Derived => format!("derived: {}", expectation.text),
            kind => format!("{} = \"{}\"", written(kind), expectation.text),
        };
        push(&mut text, &styled(DIM, hang("  ", &statement, width)));
    }
    match &expectation.failure {
        Some(explanation) => explain(&mut text, explanation, expectation, width),
        None => entry(&mut text, "first broken", &broken_at(expectation, None), width),
    }
    text
}

fn explain(text: &mut String, failure: &Failure, expectation: &Expectation, width: usize) {
    entry(text, "first broken", &broken_at(expectation, Some(failure)), width);
    if let Some(culprit) = &failure.event {
        entry(text, "by event", &identity(culprit), width);
        entry(text, "", &journey(culprit), width);
        entry(text, "", &culprit.fate, width);
    }
    push(text, &difference(&failure.expected, &failure.came, width));
    for fault in &failure.faults {
        entry(text, "fault", &format!("{}: {}", fault.id, fault.how), width);
    }
    if let Some(line) = &failure.decided_by {
        decided(text, line, width);
    }
    if !failure.picture.is_empty() {
        text.push('\n');
        for line in &failure.picture {
            push(text, &format!("  {}", printable(line)));
        }
        text.push('\n');
    }
    for command in &failure.commands {
        let head = match command.purpose {
            Purpose::Reproduce => "reproduce",
            Purpose::Look => "look",
            Purpose::Learn => "learn",
        };
        // A command is one line whatever its length: it is there to be copied.
        push(
            text,
            &format!(
                "{}{}",
                styled(STRONG, head_of(head)),
                styled(TYPED, printable(&command.line))
            ),
        );
    }
    for (i, idea) in failure.ideas.iter().enumerate() {
        let gain = if idea.gain.is_empty() {
            String::new()
        } else {
            format!(": {}", idea.gain)
        };
        let price = if idea.price.is_empty() {
            String::new()
        } else {
            format!("; price: {}", idea.price)
        };
        entry(
            text,
            if i == 0 { "ideas" } else { "" },
            &format!("{}{gain}{price}", idea.change),
            width,
        );
    }
}

/// A kind as scenario files write it.
const fn written(kind: Kind) -> &'static str {
    match kind {
        Kind::Always => "always",
        Kind::Eventually => "eventually",
        Kind::Sometimes => "sometimes",
        Kind::Never => "never",
        Kind::Final => "final",
        Kind::Derived => "derived",
    }
}

fn broken_at(expectation: &Expectation, failure: Option<&Failure>) -> String {
    match failure.and_then(|f| f.first_broken).or(expectation.first_broken) {
        Some(at) => at.to_string(),
        None => "at the end of the run".to_owned(),
    }
}

fn identity(culprit: &Culprit) -> String {
    let mut text = culprit.id.clone();
    if !culprit.row.is_empty() {
        text += &format!(" {}", culprit.row);
    }
    if let Some(origin) = culprit.correlation.as_ref().filter(|c| **c != culprit.id) {
        text += &format!(", which goes back to {origin}");
    }
    text
}

fn journey(culprit: &Culprit) -> String {
    let mut text = format!("happened {}", culprit.happened);
    if let Some(stamp) = culprit.stamp.filter(|s| *s != culprit.happened) {
        text += &format!(", stamped {stamp} (off by {})", stamp.since(culprit.happened).short());
    }
    let by = if culprit.at.is_empty() {
        String::new()
    } else {
        format!(" by {}", culprit.at)
    };
    match (culprit.seen, culprit.lag()) {
        (Some(seen), Some(lag)) => text += &format!(", seen{by} {seen}, lag {}", lag.short()),
        _ => text += &format!(", never seen{by}"),
    }
    text
}

/// What was expected and what came, in one line: the longer is cut first where both do not fit.
fn difference(expected: &str, came: &str, width: usize) -> String {
    let (expected, came) = (printable(expected), printable(came));
    let sign = " ≠ came ";
    let room = width - HEAD - sign.width();
    // Each has half of the room, and what the other leaves.
    let share = |other: &str| room - other.width().min(room - room / 2);
    format!(
        "{}{}{}{}",
        styled(STRONG, head_of("expected")),
        elide(&expected, share(&came)),
        styled(BAD, sign),
        elide(&came, share(&expected)),
    )
}

fn decided(text: &mut String, line: &ScriptLine, width: usize) {
    entry(
        text,
        "decided by",
        &format!("{}:{}:{}", line.file, line.line, line.column),
        width,
    );
    // Tabs and their like would push the mark away from what it marks.
    let source: Vec<char> = line
        .text
        .trim_end()
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let from = line.column.saturating_sub(1).min(source.len());
    let to = from.saturating_add(line.length.max(1)).min(source.len());
    let columns = |chars: &[char]| chars.iter().map(|c| c.width().unwrap_or(0)).sum::<usize>();
    // The part that counts stays in sight however long the line is, with some of what follows it.
    let room = width - 6;
    let mut start = source.iter().take_while(|c| c.is_whitespace()).count().min(from);
    let mut before = columns(&source[start..to]);
    while start < from && before > room - room / 8 {
        before -= source[start].width().unwrap_or(0);
        start += 1;
    }
    push(
        text,
        &format!("    {}", elide(&source[start..].iter().collect::<String>(), room)),
    );
    let before = columns(&source[start..from]);
    let marks = "^".repeat(columns(&source[from..to]).clamp(1, room.saturating_sub(before).max(1)));
    let below = format!("    {}{marks}", " ".repeat(before));
    if line.note.is_empty() {
        push(text, &styled(BAD, below));
    } else if below.width() + 1 + line.note.width() <= width {
        push(text, &styled(BAD, format!("{below} {}", line.note)));
    } else {
        push(text, &styled(BAD, below));
        push(text, &styled(BAD, hang("    ", &line.note, width)));
    }
}

fn head_of(word: &str) -> String {
    format!("  {word:<w$}", w = HEAD - 2)
}

/// A word and what there is to say about it, wrapped beside it; nothing when there is nothing to say.
fn entry(text: &mut String, word: &str, what: &str, width: usize) {
    if what.is_empty() {
        return;
    }
    let head = head_of(word);
    let wrapped = hang(&head, what, width);
    let body = wrapped.strip_prefix(head.as_str()).unwrap_or(&wrapped);
    push(text, &format!("{}{body}", styled(STRONG, head)));
}

fn push(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}
