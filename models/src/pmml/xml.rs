//! From bytes to elements that know where they stand.
//!
//! A document type declaration is refused, and with it every trick with entities; only the five entities of XML and
//! character references are known. Size, depth and number of elements are limited.

use super::{PmmlError, PmmlProblem};
use quick_xml::Reader;
use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use std::collections::BTreeMap;

/// How large a document may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes: 64 million.
    pub bytes: usize,
    /// Elements inside one another: 256.
    pub depth: usize,
    /// Elements and parts of expressions: 4 million.
    pub elements: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 64_000_000,
            depth: 256,
            elements: 4_000_000,
        }
    }
}

/// A place in a document, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: u64,
    pub(super) column: u64,
}

impl Place {
    pub(super) fn error(self, problem: PmmlProblem) -> PmmlError {
        PmmlError {
            line: self.line,
            column: self.column,
            problem,
        }
    }

    pub(super) fn invalid(self, reason: impl Into<String>) -> PmmlError {
        self.error(PmmlProblem::Invalid(reason.into()))
    }

    pub(super) fn unsupported(self, what: impl Into<String>) -> PmmlError {
        self.error(PmmlProblem::Unsupported(what.into()))
    }
}

/// An element with its attributes and children.
#[derive(Debug)]
pub(super) struct Element {
    pub(super) name: String,
    pub(super) place: Place,
    attributes: BTreeMap<String, String>,
    all_children: Vec<Element>,
    pub(super) text: String,
}

impl Element {
    /// The children, without extensions, which may stand anywhere and mean nothing here.
    pub(super) fn children(&self) -> impl Iterator<Item = &Element> {
        self.all_children.iter().filter(|c| c.name != "Extension")
    }

    /// The children of one name.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.all_children.iter().filter(move |c| c.name == name)
    }

    /// The first child of a name.
    pub(super) fn child(&self, name: &str) -> Option<&Element> {
        self.all_children.iter().find(|c| c.name == name)
    }

    pub(super) fn need_child(&self, name: &str) -> Result<&Element, PmmlError> {
        self.child(name)
            .ok_or_else(|| self.place.invalid(format!("<{}> needs <{name}>", self.name)))
    }

    /// Refuses the first child that is not among those that are understood.
    pub(super) fn only(&self, understood: &[&str]) -> Result<(), PmmlError> {
        match self.children().find(|c| !understood.contains(&c.name.as_str())) {
            Some(child) => Err(child.place.unsupported(format!("<{}> in <{}>", child.name, self.name))),
            None => Ok(()),
        }
    }

    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.get(name).map(String::as_str)
    }

    pub(super) fn need(&self, name: &str) -> Result<&str, PmmlError> {
        self.attribute(name).ok_or_else(|| {
            self.place
                .invalid(format!("<{}> needs the attribute `{name}`", self.name))
        })
    }

    pub(super) fn number(&self, name: &str) -> Result<Option<f64>, PmmlError> {
        self.attribute(name)
            .map(|text| match text.trim().parse::<f64>() {
                Ok(number) if !number.is_nan() => Ok(number),
                _ => Err(self
                    .place
                    .invalid(format!("`{name}` of <{}> is `{text}`, which is no number", self.name))),
            })
            .transpose()
    }

    pub(super) fn need_number(&self, name: &str) -> Result<f64, PmmlError> {
        self.need(name)?;
        Ok(self.number(name)?.unwrap_or_default())
    }

    /// One of the values that are understood; the first when the attribute is not there.
    pub(super) fn choice<T: Copy>(&self, name: &str, choices: &[(&str, T)]) -> Result<T, PmmlError> {
        match self.attribute(name) {
            None => Ok(choices[0].1),
            Some(text) => match choices.iter().find(|(choice, _)| *choice == text) {
                Some((_, value)) => Ok(*value),
                None => Err(self
                    .place
                    .unsupported(format!("`{name}=\"{text}\"` of <{}>", self.name))),
            },
        }
    }
}

/// Counts lines up to an offset; offsets must not go back.
struct Lines<'a> {
    bytes: &'a [u8],
    at: usize,
    line: u64,
    start: usize,
}

impl Lines<'_> {
    fn place(&mut self, offset: u64) -> Place {
        let offset = (offset as usize).min(self.bytes.len());
        while self.at < offset {
            if self.bytes[self.at] == b'\n' {
                self.line += 1;
                self.start = self.at + 1;
            }
            self.at += 1;
        }
        Place {
            line: self.line,
            column: (offset - self.start) as u64 + 1,
        }
    }
}

fn element(tag: &BytesStart<'_>, place: Place) -> Result<Element, PmmlError> {
    let bad = |e: &dyn std::fmt::Display| place.error(PmmlProblem::Xml(e.to_string()));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut attributes = BTreeMap::new();
    for attribute in tag.attributes() {
        let attribute = attribute.map_err(|e| bad(&e))?;
        let value = attribute
            .normalized_value(XmlVersion::Implicit1_0)
            .map_err(|e| bad(&e))?;
        attributes.insert(text(attribute.key.local_name().as_ref()), value.into_owned());
    }
    let name = text(tag.local_name().as_ref());
    Ok(Element {
        name,
        place,
        attributes,
        all_children: Vec::new(),
        text: String::new(),
    })
}

/// The root element of a document.
pub(super) fn parse(bytes: &[u8], limits: &Limits) -> Result<Element, PmmlError> {
    let start = Place { line: 1, column: 1 };
    if bytes.len() > limits.bytes {
        let what = format!("{} bytes, {} are allowed", bytes.len(), limits.bytes);
        return Err(start.error(PmmlProblem::TooLarge(what)));
    }
    let text = std::str::from_utf8(bytes).map_err(|e| start.error(PmmlProblem::Xml(e.to_string())))?;
    let mut lines = Lines {
        bytes,
        at: 0,
        line: 1,
        start: 0,
    };
    let mut reader = Reader::from_str(text);
    let (mut open, mut root): (Vec<Element>, Option<Element>) = (Vec::new(), None);
    let mut elements = 0;
    loop {
        let place = lines.place(reader.buffer_position());
        let event = reader.read_event();
        let bad = |e: &dyn std::fmt::Display| place.error(PmmlProblem::Xml(e.to_string()));
        let closed = match event.map_err(|e| bad(&e))? {
            Event::Start(tag) => {
                if open.len() >= limits.depth {
                    let what = format!("more than {} elements inside one another", limits.depth);
                    return Err(place.error(PmmlProblem::TooLarge(what)));
                }
                open.push(element(&tag, place)?);
                elements += 1;
                None
            }
            Event::Empty(tag) => {
                elements += 1;
                Some(element(&tag, place)?)
            }
            Event::End(_) => open.pop(),
            Event::Text(part) => {
                add_text(&mut open, &part.xml10_content().map_err(|e| bad(&e))?, place)?;
                None
            }
            Event::CData(part) => {
                add_text(&mut open, &part.xml10_content().map_err(|e| bad(&e))?, place)?;
                None
            }
            Event::GeneralRef(entity) => {
                let name = entity.decode().map_err(|e| bad(&e))?;
                let character = entity.resolve_char_ref().map_err(|e| bad(&e))?;
                let known = match &*name {
                    "lt" => Some('<'),
                    "gt" => Some('>'),
                    "amp" => Some('&'),
                    "apos" => Some('\''),
                    "quot" => Some('"'),
                    _ => None,
                };
                match character.or(known) {
                    Some(character) => add_text(&mut open, character.encode_utf8(&mut [0; 4]), place)?,
                    None => return Err(place.error(PmmlProblem::Entity(name.into_owned()))),
                }
                None
            }
            Event::DocType(_) => return Err(place.error(PmmlProblem::DocumentType)),
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) => None,
            Event::Eof => break,
        };
        if elements > limits.elements {
            return Err(place.error(PmmlProblem::TooLarge(format!("more than {} elements", limits.elements))));
        }
        if let Some(element) = closed {
            match open.last_mut() {
                Some(parent) => parent.all_children.push(element),
                None if root.is_none() => root = Some(element),
                None => return Err(element.place.error(PmmlProblem::Xml("a second root element".into()))),
            }
        }
    }
    let end = lines.place(bytes.len() as u64);
    if let Some(element) = open.last() {
        return Err(end.error(PmmlProblem::Xml(format!("<{}> is not closed", element.name))));
    }
    root.ok_or_else(|| end.error(PmmlProblem::Xml("there is no element".into())))
}

fn add_text(open: &mut [Element], text: &str, place: Place) -> Result<(), PmmlError> {
    match open.last_mut() {
        Some(element) => element.text.push_str(text),
        None if text.trim().is_empty() || text == "\u{feff}" => {}
        None => return Err(place.error(PmmlProblem::Xml("text outside of the root element".into()))),
    }
    Ok(())
}
