//! Where everything stands in a scenario file: from a dotted path such as `operator.per-minute.watermark` to a line and
//! a column.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::Serialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A place in a text.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Place {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// How many characters are meant, within that line.
    pub length: usize,
}

/// The place of a range of bytes; what goes over the end of its first line is left away.
pub fn place(text: &str, range: Range<usize>) -> Place {
    let mut start = range.start.min(text.len());
    while !text.is_char_boundary(start) {
        start -= 1;
    }
    let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
    let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
    let mut end = range.end.clamp(start, line_end);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    Place {
        line: text[..start].matches('\n').count() + 1,
        column: text[line_start..start].chars().count() + 1,
        length: text[start..end].trim_end().chars().count().max(1),
    }
}

/// The index of a file: every key by its path. Entries of lists go by their index (`fault[0].rate`) and, where they have
/// a `name` or an `id`, by that too (`fault.slow-link.rate`); links by their ends (`link.a -> b.delay`).
#[derive(Clone, Debug, Default)]
pub struct Places {
    entries: BTreeMap<String, Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    key: Range<usize>,
    value: Range<usize>,
    scalar: bool,
}

impl Places {
    /// The index of a text, as far as it can be read.
    pub fn of(text: &str) -> Self {
        let (table, _) = DeTable::parse_recoverable(text);
        let mut places = Self::default();
        places.table("", table.get_ref());
        places
    }

    fn table(&mut self, path: &str, table: &DeTable<'_>) {
        for (key, value) in table {
            let name: &str = key.get_ref();
            let path = if path.is_empty() {
                name.to_owned()
            } else {
                format!("{path}.{name}")
            };
            self.value(&path, key.span(), value);
        }
    }

    fn value(&mut self, path: &str, key: Range<usize>, value: &Spanned<DeValue<'_>>) {
        let scalar = !matches!(value.get_ref(), DeValue::Table(_) | DeValue::Array(_));
        let entry = Entry {
            key: key.clone(),
            value: value.span(),
            scalar,
        };
        // The first of two entries of the same name is the one that is meant.
        self.entries.entry(path.to_owned()).or_insert(entry);
        match value.get_ref() {
            DeValue::Table(table) => self.table(path, table),
            DeValue::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.value(&format!("{path}[{index}]"), item.span(), item);
                    let name = item.get_ref().as_table().and_then(|table| {
                        let named = |wanted: &str| {
                            let mut entries = table.iter();
                            let (_, value) = entries.find(|(key, _)| &**key.get_ref() == wanted)?;
                            value.get_ref().as_str()
                        };
                        let way = || Some(format!("{} -> {}", named("from")?, named("to")?));
                        named("name").or_else(|| named("id")).map(str::to_owned).or_else(way)
                    });
                    if let Some(name) = name {
                        self.value(&format!("{path}.{name}"), item.span(), item);
                    }
                }
            }
            _ => {}
        }
    }

    /// Whether something stands at a path.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.entries.contains_key(path)
    }

    /// The bytes of what is wrong with the value at a path: the value where it is a single one, else its key; of what
    /// stands around it where there is no such path.
    pub(crate) fn value_at(&self, path: &str) -> Range<usize> {
        self.nearest(path).map_or(0..0, |entry| {
            if entry.scalar {
                entry.value.clone()
            } else {
                entry.key.clone()
            }
        })
    }

    /// The bytes from a key to the end of its value.
    pub(crate) fn line_of(&self, path: &str) -> Option<Range<usize>> {
        let entry = self.nearest(path)?;
        Some(entry.key.start.min(entry.value.start)..entry.value.end.max(entry.key.end))
    }

    fn nearest(&self, path: &str) -> Option<&Entry> {
        let mut path = path;
        loop {
            if let Some(entry) = self.entries.get(path) {
                return Some(entry);
            }
            path = &path[..path.rfind(['.', '['])?];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "name = \"ä\"\n\n[[fault]]\nid = \"slow-link\"\nrate = 0.05\namount = { exp = \"2s\" }\n";

    #[test]
    fn entries_of_lists_are_found_by_their_name_and_by_their_index() {
        let places = Places::of(TEXT);
        for path in ["fault.slow-link.rate", "fault[0].rate"] {
            assert_eq!(
                place(TEXT, places.value_at(path)),
                Place {
                    line: 5,
                    column: 8,
                    length: 4
                },
                "{path}"
            );
        }
        let whole = places.line_of("fault.slow-link.amount").expect("a line");
        assert_eq!(
            place(TEXT, whole),
            Place {
                line: 6,
                column: 1,
                length: 23
            }
        );
    }

    #[test]
    fn a_path_that_is_not_there_leads_to_what_stands_around_it() {
        let places = Places::of(TEXT);
        assert_eq!(place(TEXT, places.value_at("fault.slow-link.during")).line, 3);
        assert_eq!(places.line_of("sink.x"), None);
    }

    #[test]
    fn a_place_outside_the_text_is_its_end() {
        assert_eq!(
            place("ab", 7..9),
            Place {
                line: 1,
                column: 3,
                length: 1
            }
        );
        assert_eq!(
            place("ä", 1..2),
            Place {
                line: 1,
                column: 1,
                length: 1
            }
        );
    }
}
