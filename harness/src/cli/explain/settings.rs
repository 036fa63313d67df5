//! The settings of a scenario file and their choices, from its JSON Schema, which follows from the settings' own
//! documentation.

use serde_json::{Map, Value};
use wavetank_scenarios::load::json_schema;

use super::{Part, Sort, Topic};

/// No setting lies deeper; a schema that refers to itself ends here.
const DEEPEST: usize = 6;

/// More than these do not fit a screen with their meanings.
const MOST_CHOICES: usize = 6;

/// Every setting by its path (`operator.watermark.behind`), and every choice by its name.
pub fn settings() -> Vec<Topic> {
    let schema = json_schema();
    let mut walk = Walk {
        definitions: schema.get("$defs").and_then(Value::as_object),
        topics: Vec::new(),
    };
    walk.table("", &schema, 0);
    walk.topics
}

struct Walk<'a> {
    definitions: Option<&'a Map<String, Value>>,
    topics: Vec<Topic>,
}

/// A choice of a setting: its name, and what it means.
struct Choice<'a> {
    name: &'a str,
    meaning: String,
    /// What is written into it, where it is a table.
    inside: Option<&'a Value>,
}

impl<'a> Walk<'a> {
    /// What a schema is about, references and lists taken away.
    fn resolve(&self, schema: &'a Value) -> &'a Value {
        let mut schema = schema;
        for _ in 0..DEEPEST {
            let inner = if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
                let name = reference.rsplit('/').next().unwrap_or_default();
                self.definitions.and_then(|all| all.get(name))
            } else if let Some(items) = schema.get("items") {
                Some(items)
            } else {
                // An optional setting is itself or null.
                let any = schema.get("anyOf").and_then(Value::as_array);
                any.and_then(|any| any.iter().find(|one| one.get("type").is_none_or(|t| t != "null")))
            };
            match inner {
                Some(inner) => schema = inner,
                None => break,
            }
        }
        schema
    }

    fn table(&mut self, path: &str, schema: &'a Value, depth: usize) {
        let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
            return;
        };
        let required: Vec<&str> = schema
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        for (name, property) in properties {
            let path = if path.is_empty() {
                name.clone()
            } else {
                format!("{path}.{name}")
            };
            self.setting(&path, property, required.contains(&name.as_str()), depth);
        }
    }

    fn setting(&mut self, path: &str, property: &'a Value, required: bool, depth: usize) {
        if depth >= DEEPEST {
            return;
        }
        let inner = self.resolve(property);
        let choices = choices(inner);
        let mut page = vec![Part::Text(
            describe(property).unwrap_or_else(|| "It has no words of its own.".into()),
        )];
        page.push(Part::Gap);
        page.push(Part::Entry("written".into(), shape(property, inner)));
        match property.get("default") {
            _ if required => page.push(Part::Entry("default".into(), "none: it must be there".into())),
            Some(default) if !default.is_null() => page.push(Part::Entry("default".into(), default.to_string())),
            _ => {}
        }
        if choices.len() > MOST_CHOICES {
            let names: Vec<&str> = choices.iter().map(|choice| choice.name).collect();
            page.push(Part::Entry("choices".into(), names.join(", ")));
            page.push(Part::Next(format!("wavetank explain choice:{}", names[0])));
        } else {
            page.extend(
                choices
                    .iter()
                    .map(|choice| Part::Entry(choice.name.into(), choice.meaning.clone())),
            );
        }
        if let Some(keys) = inner.get("properties").and_then(Value::as_object) {
            let brief = |(name, key): (&String, &Value)| (name.clone(), describe(key).unwrap_or_default());
            page.push(Part::Keys(keys.iter().map(brief).collect()));
        }
        let what = match path.rsplit_once('.') {
            // A long name says by itself what it is a setting of.
            Some((of, _)) if of.len() < 24 => format!("a setting of {of}"),
            Some(_) => "a setting".to_owned(),
            None => "a setting of a scenario".to_owned(),
        };
        self.topics.push(Topic {
            sort: Sort::Setting,
            word: path.into(),
            what,
            page,
        });
        // The command stays on one line of a screen.
        let named = match path.rsplit_once('.') {
            Some((_, last)) if path.len() > 45 => last,
            _ => path,
        };
        for choice in choices {
            let page = vec![
                Part::Text(format!("As {path}: {}", choice.meaning)),
                Part::Next(format!("wavetank explain setting:{named}")),
            ];
            let what = format!("a choice of {path}");
            self.topics.push(Topic {
                sort: Sort::Choice,
                word: choice.name.into(),
                what,
                page,
            });
            if let Some(inside) = choice.inside {
                let inside = self.resolve(inside);
                self.table(&format!("{path}.{}", choice.name), inside, depth + 1);
            }
        }
        self.table(path, inner, depth + 1);
    }
}

/// The choices of a setting that say what they mean.
fn choices(schema: &Value) -> Vec<Choice<'_>> {
    let one_of = schema.get("oneOf").and_then(Value::as_array).into_iter().flatten();
    one_of
        .filter_map(|one| {
            let meaning = describe(one)?;
            if let Some(name) = one.get("const").and_then(Value::as_str) {
                return Some(Choice {
                    name,
                    meaning,
                    inside: None,
                });
            }
            let (name, inside) = one.get("properties")?.as_object()?.iter().next()?;
            Some(Choice {
                name,
                meaning,
                inside: Some(inside),
            })
        })
        .collect()
}

/// How a setting is written, in words.
fn shape(property: &Value, inner: &Value) -> String {
    let list = |property: &Value| property.get("items").is_some();
    let optional = property.get("anyOf").and_then(Value::as_array);
    let many = list(property) || optional.is_some_and(|any| any.iter().any(list));
    let one = if inner.get("properties").is_some() {
        "a table"
    } else if let Some(names) = inner.get("enum").and_then(Value::as_array) {
        let names: Vec<&str> = names.iter().filter_map(Value::as_str).collect();
        return format!("one of {}", names.join(", "));
    } else if !choices(inner).is_empty() {
        "one of those below"
    } else {
        match inner.get("type").and_then(Value::as_str) {
            Some("string") => "text in quotes",
            Some("integer") => "a whole number",
            Some("number") => "a number",
            Some("boolean") => "true or false",
            Some("object") => "a table of names and values",
            _ => "text or a table",
        }
    };
    let about = describe(inner).filter(|_| inner.get("properties").is_none() && choices(inner).is_empty());
    let one = match about {
        Some(about) if Some(&about) != describe(property).as_ref() => format!("{one}: {about}"),
        _ => one.to_owned(),
    };
    if many { format!("a list, each {one}") } else { one }
}

/// The documentation of a schema in one line, without the links that only the code's documentation can follow.
fn describe(schema: &Value) -> Option<String> {
    let text = schema.get("description")?.as_str()?;
    let mut plain = text.split_whitespace().collect::<Vec<_>>().join(" ");
    while let Some(start) = plain.find("[`") {
        let Some(end) = plain[start..].find("`]").map(|end| start + end) else {
            break;
        };
        let name = plain[start + 2..end]
            .rsplit("::")
            .next()
            .unwrap_or_default()
            .to_lowercase();
        plain.replace_range(start..end + 2, &format!("`{name}`"));
    }
    Some(plain)
}
