//! Messages: JSON, a line of CSV, an Avro datum.
//!
//! The model in words: a message's fields are read one after another, each as its declared type says, and anything that
//! does not fit makes the whole message unreadable. JSON: an object; a field that is not there is null; times are RFC 3339
//! text, or whole microseconds when read. CSV: one line, as many values as fields, empty is null. Avro: of each field the
//! branch of its union with null (0: null), then the value: whole numbers and times (microseconds) as zigzag variable-length
//! integers, floats as eight bytes, text and bytes behind their length (Avro specification 1.11, "Binary Encoding";
//! written out here, so that a library is checked by something other than itself).

use arcstr::ArcStr;
use indexmap::IndexMap;
use serde_json::Value as Json;
use wavetank_scenarios::schema::FieldType;
use wavetank_scenarios::script::Format;
use wavetank_scenarios::{Time, Value};

use crate::expr::{cast, name_of};

/// The fields of a message.
///
/// # Errors
/// What cannot be read.
pub(crate) fn decode(
    format: Format,
    message: &Value,
    fields: &IndexMap<ArcStr, FieldType>,
) -> Result<Vec<(ArcStr, Value)>, String> {
    let bytes: &[u8] = match message {
        Value::Text(text) => text.as_bytes(),
        Value::Bytes(bytes) => bytes,
        other => return Err(format!("a message is text or bytes, not a {}", other.type_name())),
    };
    match format {
        Format::Json => {
            let json: Json = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
            let Json::Object(object) = json else {
                return Err("the message is no JSON object".into());
            };
            let read = |(name, kind): (&ArcStr, &FieldType)| {
                let value = object.get(name.as_str()).unwrap_or(&Json::Null);
                Ok((name.clone(), of_json(value, *kind)?))
            };
            fields.iter().map(read).collect()
        }
        Format::Csv => {
            let mut lines = csv::ReaderBuilder::new()
                .has_headers(false)
                .flexible(true)
                .from_reader(bytes);
            let lines: Vec<csv::StringRecord> = lines.records().collect::<Result<_, _>>().map_err(|e| e.to_string())?;
            let [line] = &lines[..] else {
                return Err(format!("{} lines instead of one", lines.len()));
            };
            if line.len() != fields.len() {
                return Err(format!("{} values for {} fields", line.len(), fields.len()));
            }
            let read = |((name, kind), text): ((&ArcStr, &FieldType), &str)| {
                let value = if text.is_empty() {
                    Value::Null
                } else {
                    cast(Value::text(text), *kind)?
                };
                Ok((name.clone(), value))
            };
            fields.iter().zip(line).map(read).collect()
        }
        Format::Avro => {
            let mut datum = Datum(bytes);
            let read = |(name, kind): (&ArcStr, &FieldType)| Ok((name.clone(), datum.value(*kind)?));
            let values: Vec<_> = fields.iter().map(read).collect::<Result<_, String>>()?;
            if datum.0.is_empty() {
                Ok(values)
            } else {
                Err(format!("{} bytes are left over", datum.0.len()))
            }
        }
    }
}

/// A message of these fields: text, or bytes for Avro.
///
/// # Errors
/// A value that the format cannot write.
pub(crate) fn encode(format: Format, fields: &[(ArcStr, Value)]) -> Result<Value, String> {
    match format {
        Format::Json => {
            let write = |(name, value): &(ArcStr, Value)| Ok((name.to_string(), json_of(value)?));
            let object: serde_json::Map<String, Json> = fields.iter().map(write).collect::<Result<_, String>>()?;
            Ok(Value::text(Json::Object(object).to_string()))
        }
        Format::Csv => {
            let write = |(_, value): &(ArcStr, Value)| match value {
                Value::Null => Ok(String::new()),
                Value::Bytes(_) | Value::List(_) | Value::Record(_) => {
                    Err(format!("a {} does not go into a line of CSV", value.type_name()))
                }
                other => Ok(other.to_string()),
            };
            let values: Vec<String> = fields.iter().map(write).collect::<Result<_, _>>()?;
            let mut writer = csv::Writer::from_writer(Vec::new());
            writer.write_record(&values).map_err(|e| e.to_string())?;
            let line = writer.into_inner().map_err(|e| e.to_string())?;
            let line = String::from_utf8(line).map_err(|e| e.to_string())?;
            Ok(Value::text(line.trim_end_matches('\n')))
        }
        Format::Avro => {
            let mut bytes = Vec::new();
            for (name, value) in fields {
                write_avro(value, &mut bytes).map_err(|why| format!("field `{name}`: {why}"))?;
            }
            Ok(Value::Bytes(bytes.into()))
        }
    }
}

fn of_json(json: &Json, kind: FieldType) -> Result<Value, String> {
    let plain = match json {
        Json::Null => Value::Null,
        Json::Bool(b) => Value::Bool(*b),
        Json::Number(n) => match (n.as_i64(), n.as_f64()) {
            (Some(whole), _) => Value::Int(whole),
            (None, Some(float)) => Value::Float(float),
            (None, None) => return Err(format!("the number {n} is too large")),
        },
        Json::String(text) => Value::text(text.as_str()),
        Json::Array(items) => {
            let items: Vec<Value> = items
                .iter()
                .map(|i| of_json(i, FieldType::Any))
                .collect::<Result<_, _>>()?;
            Value::List(items.into())
        }
        Json::Object(fields) => {
            let read = |(name, value): (&String, &Json)| Ok((name.as_str().into(), of_json(value, FieldType::Any)?));
            let fields: Vec<_> = fields.iter().map(read).collect::<Result<_, String>>()?;
            Value::Record(fields.into())
        }
    };
    match (&plain, kind) {
        (Value::Null, _) | (_, FieldType::Any) => Ok(plain),
        (Value::Int(_), FieldType::Float | FieldType::Time) | (Value::Text(_), FieldType::Time | FieldType::Bytes) => {
            cast(plain, kind)
        }
        _ if plain.type_name() == name_of(kind) => Ok(plain),
        _ => Err(format!("`{plain}` is a {}, not a {}", plain.type_name(), name_of(kind))),
    }
}

fn json_of(value: &Value) -> Result<Json, String> {
    Ok(match value {
        Value::Null => Json::Null,
        Value::Bool(b) => Json::Bool(*b),
        Value::Int(i) => Json::from(*i),
        Value::Float(f) => {
            let number = serde_json::Number::from_f64(*f);
            Json::Number(number.ok_or_else(|| format!("JSON has no number {f}"))?)
        }
        Value::Text(text) => Json::String(text.to_string()),
        Value::Time(time) => Json::String(time.to_string()),
        Value::Bytes(_) => return Err("JSON has no bytes".into()),
        Value::List(items) => Json::Array(items.iter().map(json_of).collect::<Result<_, _>>()?),
        Value::Record(fields) => {
            let write = |(name, value): &(ArcStr, Value)| Ok((name.to_string(), json_of(value)?));
            Json::Object(fields.iter().map(write).collect::<Result<_, String>>()?)
        }
    })
}

/// What is left of a datum.
struct Datum<'a>(&'a [u8]);

impl<'a> Datum<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self.0.split_at_checked(n).ok_or("the datum ends too early")?;
        self.0 = rest;
        Ok(taken)
    }
    fn long(&mut self) -> Result<i64, String> {
        let mut zigzag = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            zigzag |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok((zigzag >> 1) as i64 ^ -((zigzag & 1) as i64));
            }
        }
        Err("a whole number is too long".into())
    }
    fn bytes(&mut self) -> Result<&'a [u8], String> {
        let length = self.long()?;
        self.take(usize::try_from(length).map_err(|_| "a length is negative")?)
    }
    fn value(&mut self, kind: FieldType) -> Result<Value, String> {
        match self.long()? {
            0 => return Ok(Value::Null),
            1 => {}
            other => return Err(format!("the union has no branch {other}")),
        }
        Ok(match kind {
            FieldType::Bool => match self.take(1)? {
                [0] => Value::Bool(false),
                [1] => Value::Bool(true),
                other => return Err(format!("{other:?} is neither true nor false")),
            },
            FieldType::Int => Value::Int(self.long()?),
            FieldType::Time => Value::Time(Time::from_micros(self.long()?)),
            FieldType::Float => {
                let bytes: [u8; 8] = self.take(8)?.try_into().map_err(|_| "a float has eight bytes")?;
                Value::Float(f64::from_le_bytes(bytes))
            }
            FieldType::Text => Value::text(std::str::from_utf8(self.bytes()?).map_err(|e| e.to_string())?),
            FieldType::Bytes => Value::Bytes(self.bytes()?.to_vec().into()),
            FieldType::Any | FieldType::List | FieldType::Record => {
                return Err(format!("a field of type {} does not go into Avro", name_of(kind)));
            }
        })
    }
}

fn write_avro(value: &Value, bytes: &mut Vec<u8>) -> Result<(), String> {
    let branch = i64::from(!value.is_null());
    write_long(branch, bytes);
    match value {
        Value::Null => {}
        Value::Bool(b) => bytes.push(u8::from(*b)),
        Value::Int(i) => write_long(*i, bytes),
        Value::Time(t) => write_long(t.micros(), bytes),
        Value::Float(f) => bytes.extend(f.to_le_bytes()),
        Value::Text(text) => {
            write_long(text.len() as i64, bytes);
            bytes.extend(text.as_bytes());
        }
        Value::Bytes(b) => {
            write_long(b.len() as i64, bytes);
            bytes.extend(b.iter());
        }
        Value::List(_) | Value::Record(_) => return Err(format!("a {} does not go into Avro", value.type_name())),
    }
    Ok(())
}

fn write_long(value: i64, bytes: &mut Vec<u8>) {
    let mut zigzag = ((value << 1) ^ (value >> 63)) as u64;
    while zigzag >= 0x80 {
        bytes.push(zigzag as u8 | 0x80);
        zigzag >>= 7;
    }
    bytes.push(zigzag as u8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn kinds() -> IndexMap<ArcStr, FieldType> {
        [
            ("b", FieldType::Bool),
            ("i", FieldType::Int),
            ("f", FieldType::Float),
            ("t", FieldType::Text),
            ("at", FieldType::Time),
        ]
        .into_iter()
        .map(|(n, k)| (n.into(), k))
        .collect()
    }
    fn fields(values: [Value; 5]) -> Vec<(ArcStr, Value)> {
        kinds().into_keys().zip(values).collect()
    }

    #[test]
    fn a_datum_is_what_the_avro_library_writes() {
        let schema = apache_avro::Schema::parse_str(
            r#"{"type": "record", "name": "r", "fields": [
                {"name": "b", "type": ["null", "boolean"]}, {"name": "i", "type": ["null", "long"]},
                {"name": "f", "type": ["null", "double"]}, {"name": "t", "type": ["null", "string"]},
                {"name": "at", "type": ["null", {"type": "long", "logicalType": "timestamp-micros"}]}]}"#,
        )
        .unwrap();
        let mut record = apache_avro::types::Record::new(&schema).unwrap();
        let some = |v| apache_avro::types::Value::Union(1, Box::new(v));
        record.put("b", some(apache_avro::types::Value::Boolean(true)));
        record.put("i", some(apache_avro::types::Value::Long(-300)));
        record.put("f", some(apache_avro::types::Value::Double(-0.1)));
        record.put(
            "t",
            apache_avro::types::Value::Union(0, Box::new(apache_avro::types::Value::Null)),
        );
        record.put("at", some(apache_avro::types::Value::TimestampMicros(1_234_567)));
        let theirs = apache_avro::writer::datum::GenericDatumWriter::builder(&schema)
            .build()
            .and_then(|writer| writer.write_value_to_vec(record))
            .unwrap();
        let ours = fields([
            true.into(),
            Value::Int(-300),
            (-0.1).into(),
            Value::Null,
            Time::from_micros(1_234_567).into(),
        ]);
        assert_eq!(encode(Format::Avro, &ours), Ok(Value::Bytes(theirs.into())));
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_back(
            b: bool, i: i64, f in -1e300f64..1e300, t in "[a-z,\"\n ]{1,9}", at in -1_000_000_000_000_000i64..4_000_000_000_000_000
        ) {
            // CSV tells no empty text from null and trims nothing but the end of the line.
            let t = t.replace('\n', "x");
            let all = fields([b.into(), i.into(), f.into(), t.as_str().into(), Time::from_micros(at).into()]);
            for format in [Format::Json, Format::Avro, Format::Csv] {
                let message = encode(format, &all).unwrap();
                let read = decode(format, &message, &kinds()).unwrap();
                if format == Format::Csv {
                    prop_assert_eq!(&read[..3], &all[..3]);
                } else {
                    prop_assert_eq!(&read, &all);
                }
            }
        }

        #[test]
        fn no_bytes_make_decoding_panic(bytes: Vec<u8>) {
            for format in [Format::Json, Format::Avro, Format::Csv] {
                let _ = decode(format, &Value::Bytes(bytes.clone().into()), &kinds());
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for (format, message) in [
            (Format::Json, "[1]"),
            (Format::Json, r#"{"i": 1.5}"#),
            (Format::Json, r#"{"b": "true"}"#),
            (Format::Csv, "true,1,2"),
            (Format::Csv, "true,x,2,t,2013-01-01T00:00:00Z"),
            (Format::Csv, ""),
            (Format::Avro, "\u{2}"),
        ] {
            assert!(decode(format, &message.into(), &kinds()).is_err(), "{message}");
        }
        let read = decode(Format::Json, &r#"{"i": 3, "f": 3}"#.into(), &kinds()).unwrap();
        assert_eq!(
            read,
            fields([Value::Null, 3.into(), 3.0.into(), Value::Null, Value::Null])
        );
    }
}
