//! Keeps the files of snapshots on a disk, and says what is durable. It knows nothing of what they hold.

use std::collections::{BTreeMap, BTreeSet};

use arcstr::ArcStr;
use wavetank_scenarios::Time;

use super::catalog::{Entry, manifest_file, number_of, part_file};
use super::message::{Cleaned, Doings, Files, Message, Note, To};
use crate::reliability::disk::{Disk, DiskError, Outcome, Replacing, Request};

/// Keeps files.
#[derive(Debug)]
pub struct Store<D> {
    disk: D,
    how: Replacing,
    /// Parts of older attempts are refused.
    attempt: u32,
    /// What the disk is at, by ticket.
    tasks: BTreeMap<u64, Task>,
    /// Answers that several readings make up, by the ticket of the last.
    gathering: BTreeMap<u64, Gathering>,
}

#[derive(Debug)]
enum Task {
    Keep { number: u64, attempt: u32, entry: Entry },
    Record { number: u64, attempt: u32 },
    Read { number: u64, gathering: u64 },
    SurveyList { attempt: u32 },
    CleanList { keep: BTreeSet<u64>, below: u64 },
    Delete { bytes: u64, orphan: bool, gathering: u64 },
}

#[derive(Debug)]
enum Gathering {
    Fetch {
        participant: ArcStr,
        attempt: u32,
        files: Files,
    },
    Survey {
        attempt: u32,
        files: Vec<(String, u64)>,
        manifests: Files,
    },
    Clean(Cleaned),
}

impl<D: Disk> Store<D> {
    /// A store with its disk.
    pub const fn new(disk: D, how: Replacing) -> Self {
        Self {
            disk,
            how,
            attempt: 0,
            tasks: BTreeMap::new(),
            gathering: BTreeMap::new(),
        }
    }
    /// Says that it has entered again after a crash.
    pub fn entered(&self, out: &mut Doings) {
        out.tell(To::Coordinator, Message::StoreEntered);
    }
    /// The disk.
    pub const fn disk(&self) -> &D {
        &self.disk
    }
    /// Takes the disk out: it outlives the store's crash.
    pub fn into_disk(self) -> D {
        self.disk
    }

    /// Takes a message at an instant of its clock.
    pub fn on_message(&mut self, message: Message, now: Time, out: &mut Doings) {
        match message {
            Message::Keep {
                number,
                attempt,
                entry,
                bytes,
            } => {
                if attempt < self.attempt {
                    let outcome = Err(format!(
                        "`{}` is of attempt {attempt}, which is over",
                        entry.participant
                    ));
                    let participant = entry.participant;
                    return out.tell(
                        To::Coordinator,
                        Message::Kept {
                            number,
                            attempt,
                            participant,
                            outcome,
                        },
                    );
                }
                let file = part_file(number, &entry.participant);
                self.write(file, &bytes, Task::Keep { number, attempt, entry }, now, out);
            }
            Message::Record { number, attempt, bytes } => {
                self.write(
                    manifest_file(number),
                    &bytes,
                    Task::Record { number, attempt },
                    now,
                    out,
                );
            }
            Message::Fetch {
                participant,
                attempt,
                numbers,
            } => {
                let files = numbers.iter().map(|number| (*number, part_file(*number, &participant)));
                let files: Vec<(u64, String)> = files.collect();
                let gathering = Gathering::Fetch {
                    participant,
                    attempt,
                    files: Vec::new(),
                };
                self.read_all(files, gathering, now, out);
            }
            Message::Survey { attempt } => {
                self.attempt = self.attempt.max(attempt);
                self.list(Task::SurveyList { attempt }, now, out);
            }
            Message::Clean { attempt, keep, below } => {
                self.attempt = self.attempt.max(attempt);
                self.list(Task::CleanList { keep, below }, now, out);
            }
            // What is said to others.
            Message::Entered { .. }
            | Message::Restored { .. }
            | Message::Unreadable { .. }
            | Message::Over { .. }
            | Message::Taken { .. }
            | Message::Reached { .. }
            | Message::Trigger { .. }
            | Message::Completed { .. }
            | Message::Aborted { .. }
            | Message::GoBack { .. }
            | Message::Kept { .. }
            | Message::Recorded { .. }
            | Message::Fetched { .. }
            | Message::Surveyed { .. }
            | Message::StoreEntered
            | Message::Cleaned(_) => {}
        }
    }

    /// A timer that it set is due: the disk is done with something.
    pub fn on_timer(&mut self, token: u64, now: Time, out: &mut Doings) {
        let (Some(task), Some(result)) = (self.tasks.remove(&token), self.disk.finish(token)) else {
            return;
        };
        match task {
            Task::Keep { number, attempt, entry } => {
                let participant = entry.participant.clone();
                let outcome = told(result, out).map(|_| entry);
                out.tell(
                    To::Coordinator,
                    Message::Kept {
                        number,
                        attempt,
                        participant,
                        outcome,
                    },
                );
            }
            Task::Record { number, attempt } => {
                let outcome = told(result, out).map(|outcome| match outcome {
                    Outcome::Written(bytes) => bytes,
                    _ => 0,
                });
                out.tell(
                    To::Coordinator,
                    Message::Recorded {
                        number,
                        attempt,
                        outcome,
                    },
                );
            }
            Task::Read { number, gathering } => {
                let file = told(result, out).map(|outcome| match outcome {
                    Outcome::Read(bytes) => bytes.into(),
                    _ => Vec::new().into(),
                });
                if let Some(Gathering::Fetch { files: found, .. } | Gathering::Survey { manifests: found, .. }) =
                    self.gathering.get_mut(&gathering)
                {
                    found.push((number, file));
                }
                self.gathered(token, gathering, out);
            }
            Task::SurveyList { attempt } => match told(result, out) {
                Ok(Outcome::Listed(files)) => {
                    let manifests = files.iter().filter_map(|(file, _)| {
                        let number = number_of(file)?;
                        (*file == manifest_file(number)).then(|| (number, file.clone()))
                    });
                    let manifests: Vec<(u64, String)> = manifests.collect();
                    let gathering = Gathering::Survey {
                        attempt,
                        files,
                        manifests: Vec::new(),
                    };
                    self.read_all(manifests, gathering, now, out);
                }
                other => out.tell(
                    To::Coordinator,
                    Message::Surveyed {
                        attempt,
                        files: Err(other.err().unwrap_or_default()),
                        manifests: Vec::new(),
                    },
                ),
            },
            Task::CleanList { keep, below } => {
                if let Ok(Outcome::Listed(files)) = told(result, out) {
                    self.delete(files, &keep, below, now, out);
                }
            }
            Task::Delete {
                bytes,
                orphan,
                gathering,
            } => {
                if let (Ok(Outcome::Deleted(true)), Some(Gathering::Clean(cleaned))) =
                    (told(result, out), self.gathering.get_mut(&gathering))
                {
                    cleaned.bytes += bytes;
                    *(if orphan {
                        &mut cleaned.orphaned
                    } else {
                        &mut cleaned.expired
                    }) += 1;
                }
                self.gathered(token, gathering, out);
            }
        }
    }

    /// Lets the disk do something and remembers what for.
    fn start(&mut self, request: Request, task: impl FnOnce(u64) -> Task, now: Time, out: &mut Doings) -> u64 {
        let ticket = self.disk.start(now, request);
        for fault in ticket.fired {
            out.note(Note::Fault(fault));
        }
        out.timer(ticket.due.since(now), ticket.number);
        self.tasks.insert(ticket.number, task(ticket.number));
        ticket.number
    }
    fn write(&mut self, file: String, bytes: &[u8], task: Task, now: Time, out: &mut Doings) {
        let request = Request::Write {
            file,
            bytes: bytes.to_vec(),
            how: self.how,
        };
        self.start(request, |_| task, now, out);
    }
    fn list(&mut self, task: Task, now: Time, out: &mut Doings) {
        let request = Request::List { prefix: String::new() };
        self.start(request, |_| task, now, out);
    }
    /// Reads files one after the other; the disk keeps that order, so that the last is done last.
    fn read_all(&mut self, files: Vec<(u64, String)>, gathering: Gathering, now: Time, out: &mut Doings) {
        let mut last = None;
        let mut tickets = Vec::new();
        for (number, file) in files {
            let ticket = self.start(
                Request::read(file),
                |own| Task::Read { number, gathering: own },
                now,
                out,
            );
            tickets.push(ticket);
            last = Some(ticket);
        }
        self.gather(tickets, last, gathering, out);
    }
    /// Lets tasks that were just started make up one answer.
    fn gather(&mut self, tickets: Vec<u64>, last: Option<u64>, gathering: Gathering, out: &mut Doings) {
        let Some(last) = last else {
            return answer(gathering, out);
        };
        for ticket in tickets {
            if let Some(Task::Read { gathering, .. } | Task::Delete { gathering, .. }) = self.tasks.get_mut(&ticket) {
                *gathering = last;
            }
        }
        self.gathering.insert(last, gathering);
    }
    fn gathered(&mut self, token: u64, gathering: u64, out: &mut Doings) {
        if token == gathering
            && let Some(gathering) = self.gathering.remove(&gathering)
        {
            answer(gathering, out);
        }
    }

    fn delete(&mut self, files: Vec<(String, u64)>, keep: &BTreeSet<u64>, below: u64, now: Time, out: &mut Doings) {
        let numbered = files
            .into_iter()
            .filter_map(|(file, size)| Some((number_of(&file)?, file, size)));
        let numbered: Vec<(u64, String, u64)> = numbered.collect();
        let complete: BTreeSet<u64> = numbered
            .iter()
            .filter(|(number, file, _)| *file == manifest_file(*number))
            .map(|(number, ..)| *number)
            .collect();
        let half = |file: &str| file.ends_with(".part");
        let mut gone: Vec<(u64, String, u64)> = numbered
            .into_iter()
            .filter(|(number, file, _)| *number < below && (half(file) || !keep.contains(number)))
            .collect();
        // A set loses its manifest first: a crash on the way must not leave one that speaks of parts that are gone.
        gone.sort_by_key(|(number, file, _)| (*file != manifest_file(*number), *number));
        let mut last = None;
        let mut tickets = Vec::new();
        for (number, file, bytes) in gone {
            let orphan = half(&file) || !complete.contains(&number);
            let delete = |own| Task::Delete {
                bytes,
                orphan,
                gathering: own,
            };
            let ticket = self.start(Request::Delete { file }, delete, now, out);
            tickets.push(ticket);
            last = Some(ticket);
        }
        if last.is_some() {
            self.gather(tickets, last, Gathering::Clean(Cleaned::default()), out);
        }
    }
}

/// What came of it, with an error told.
fn told(result: Result<Outcome, DiskError>, out: &mut Doings) -> Result<Outcome, String> {
    result.map_err(|error| {
        let why = error.to_string();
        out.note(Note::Trouble { why: why.clone() });
        why
    })
}

fn answer(gathering: Gathering, out: &mut Doings) {
    match gathering {
        Gathering::Fetch {
            participant,
            attempt,
            files,
        } => out.tell(To::Participant(participant), Message::Fetched { attempt, files }),
        Gathering::Survey {
            attempt,
            files,
            manifests,
        } => out.tell(
            To::Coordinator,
            Message::Surveyed {
                attempt,
                files: Ok(files),
                manifests,
            },
        ),
        Gathering::Clean(cleaned) => out.tell(To::Coordinator, Message::Cleaned(cleaned)),
    }
}
