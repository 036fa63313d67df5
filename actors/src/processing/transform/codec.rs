//! Message formats: JSON objects, lines of CSV, Avro data.
//!
//! | type | JSON | CSV | Avro (each a union with null) |
//! | --- | --- | --- | --- |
//! | bool, int, float, text | as such | as a person reads it | boolean, long, double, string |
//! | time | RFC 3339 | RFC 3339 | long, timestamp-micros |
//! | bytes | hexadecimal text after `0x` | the same | bytes |
//! | list, record, any | as such | as JSON | string that holds JSON |
//!
//! Null is null, empty, null; in CSV an empty text therefore comes back as null. What a message has beyond the declared
//! fields is left out (JSON), or an error (CSV); what it lacks is null (JSON) or an error (CSV). Numbers that a format
//! cannot write (not-a-number in JSON) are an error of that event.

use arcstr::ArcStr;
use wavetank_scenarios::script::{Codec, Format};
use wavetank_scenarios::{FieldType, Schema, Time, Value};

use crate::processing::expr::{cast, unknown};

/// Names and types of a message's fields.
type MessageFields = Vec<(ArcStr, FieldType)>;

/// The most that one Avro value may claim to be long: a corrupt length must not ask for more memory than there is.
const LONGEST_AVRO: usize = 16 << 20;

/// Reads messages.
#[derive(Debug)]
pub struct Decoder {
    fields: MessageFields,
    format: Form,
}

/// Writes messages.
#[derive(Debug)]
pub struct Encoder {
    fields: MessageFields,
    slots: Vec<usize>,
    format: Form,
}

#[derive(Debug)]
enum Form {
    Json,
    Csv,
    Avro(Box<apache_avro::Schema>),
}

impl Form {
    fn new(format: Format, fields: &MessageFields) -> Result<Self, String> {
        Ok(match format {
            Format::Json => Self::Json,
            Format::Csv => Self::Csv,
            Format::Avro => {
                apache_avro::util::max_allocation_bytes(LONGEST_AVRO);
                Self::Avro(Box::new(avro_schema(fields)?))
            }
        })
    }
}

/// The Avro schema that follows from names and types.
fn avro_schema(fields: &MessageFields) -> Result<apache_avro::Schema, String> {
    let field = |(name, kind): &(ArcStr, FieldType)| {
        let kind = match kind {
            FieldType::Bool => serde_json::json!("boolean"),
            FieldType::Int => serde_json::json!("long"),
            FieldType::Float => serde_json::json!("double"),
            FieldType::Time => serde_json::json!({"type": "long", "logicalType": "timestamp-micros"}),
            FieldType::Bytes => serde_json::json!("bytes"),
            FieldType::Text | FieldType::Any | FieldType::List | FieldType::Record => serde_json::json!("string"),
        };
        serde_json::json!({"name": name.as_str(), "type": ["null", kind]})
    };
    let fields: Vec<_> = fields.iter().map(field).collect();
    apache_avro::Schema::parse(&serde_json::json!({"type": "record", "name": "row", "fields": fields}))
        .map_err(|e| format!("Avro does not take these fields: {e}"))
}

impl Decoder {
    /// For messages with the codec's fields.
    ///
    /// # Errors
    /// No fields are declared, or the format does not take their names.
    pub fn new(codec: &Codec) -> Result<Self, String> {
        if codec.fields.is_empty() {
            return Err("decoding needs `fields`: the names and types of the message's fields, in order".into());
        }
        let fields: MessageFields = codec.fields.iter().map(|(n, k)| (n.clone(), *k)).collect();
        Ok(Self {
            format: Form::new(codec.format, &fields)?,
            fields,
        })
    }

    /// The fields of a message. A null message has null fields.
    ///
    /// # Errors
    /// What is wrong with the message.
    pub fn decode(&self, message: &Value) -> Result<Vec<Value>, String> {
        let bytes = match message {
            Value::Null => return Ok(vec![Value::Null; self.fields.len()]),
            Value::Text(text) => text.as_bytes(),
            Value::Bytes(bytes) => bytes.as_slice(),
            other => {
                return Err(format!(
                    "a message is text or bytes, not {} `{other}`",
                    other.type_name()
                ));
            }
        };
        match &self.format {
            Form::Json => self.decode_json(bytes),
            Form::Csv => self.decode_csv(bytes),
            Form::Avro(schema) => self.decode_avro(bytes, schema),
        }
    }

    fn decode_json(&self, bytes: &[u8]) -> Result<Vec<Value>, String> {
        let message: serde_json::Value = serde_json::from_slice(bytes).map_err(|e| format!("bad JSON: {e}"))?;
        let object = message.as_object().ok_or("bad JSON: a message is an object, `{…}`")?;
        let field = |(name, kind): &(ArcStr, FieldType)| match object.get(name.as_str()) {
            Some(value) => from_json(value, *kind).map_err(|e| format!("field `{name}`: {e}")),
            None => Ok(Value::Null),
        };
        self.fields.iter().map(field).collect()
    }

    fn decode_csv(&self, bytes: &[u8]) -> Result<Vec<Value>, String> {
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .from_reader(bytes);
        let mut records = reader.records();
        let line = match records.next() {
            Some(line) => line.map_err(|e| format!("bad CSV: {e}"))?,
            None => return Err("bad CSV: the line is empty".into()),
        };
        if records.next().is_some() {
            return Err("bad CSV: more than one line".into());
        }
        if line.len() != self.fields.len() {
            return Err(format!(
                "bad CSV: {} fields where {} are declared",
                line.len(),
                self.fields.len()
            ));
        }
        let field = |(text, (name, kind)): (&str, &(ArcStr, FieldType))| {
            from_text(text, *kind).map_err(|e| format!("field `{name}`: {e}"))
        };
        line.iter().zip(&self.fields).map(field).collect()
    }

    fn decode_avro(&self, mut bytes: &[u8], schema: &apache_avro::Schema) -> Result<Vec<Value>, String> {
        use apache_avro::types::Value as Avro;
        let bad = |e: apache_avro::Error| format!("bad Avro: {e}");
        let reader = apache_avro::reader::datum::GenericDatumReader::builder(schema)
            .build()
            .map_err(bad)?;
        let Avro::Record(record) = reader.read_value(&mut bytes).map_err(bad)? else {
            return Err("bad Avro: not a record".into());
        };
        if !bytes.is_empty() {
            return Err(format!("bad Avro: {} bytes are left over", bytes.len()));
        }
        let field = |((_, value), (name, kind)): ((String, Avro), &(ArcStr, FieldType))| {
            let value = match value {
                Avro::Union(_, inner) => *inner,
                other => other,
            };
            Ok(match value {
                Avro::Null => Value::Null,
                Avro::Boolean(b) => Value::Bool(b),
                Avro::Long(i) => Value::Int(i),
                Avro::Double(x) => Value::Float(x),
                Avro::TimestampMicros(t) => Value::Time(Time::from_micros(t)),
                Avro::Bytes(b) => Value::Bytes(b.into()),
                Avro::String(text) if *kind == FieldType::Text => Value::text(text),
                Avro::String(text) => {
                    let json = serde_json::from_str(&text).map_err(|e| format!("field `{name}`: bad JSON: {e}"))?;
                    from_json(&json, *kind).map_err(|e| format!("field `{name}`: {e}"))?
                }
                other => return Err(format!("field `{name}`: {other:?} was not declared")),
            })
        };
        record.into_iter().zip(&self.fields).map(field).collect()
    }
}

impl Encoder {
    /// For rows of `schema`: the codec's fields where it names any, else all of them.
    ///
    /// # Errors
    /// A field is not there, or the format does not take its name.
    pub fn new(codec: &Codec, schema: &Schema) -> Result<Self, String> {
        let fields: MessageFields = if codec.fields.is_empty() {
            schema.fields.iter().map(|f| (f.name.clone(), f.kind)).collect()
        } else {
            codec.fields.iter().map(|(n, k)| (n.clone(), *k)).collect()
        };
        let slot =
            |(name, _): &(ArcStr, FieldType)| schema.slot(name).ok_or_else(|| unknown("field", name, schema.names()));
        Ok(Self {
            slots: fields.iter().map(slot).collect::<Result<_, _>>()?,
            format: Form::new(codec.format, &fields)?,
            fields,
        })
    }

    /// The type of a message.
    pub const fn kind(&self) -> FieldType {
        match self.format {
            Form::Json | Form::Csv => FieldType::Text,
            Form::Avro(_) => FieldType::Bytes,
        }
    }

    /// A row as a message.
    ///
    /// # Errors
    /// What cannot be written.
    pub fn encode(&self, row: &[Value]) -> Result<Value, String> {
        let mut values = Vec::with_capacity(self.fields.len());
        for (slot, (name, kind)) in self.slots.iter().zip(&self.fields) {
            let value = cast(&row[*slot], *kind).map_err(|e| format!("field `{name}`: {e}"))?;
            values.push((name, *kind, value));
        }
        match &self.format {
            Form::Json => {
                let mut object = serde_json::Map::new();
                for (name, _, value) in values {
                    let json = to_json(&value).map_err(|e| format!("field `{name}`: {e}"))?;
                    object.insert(name.to_string(), json);
                }
                Ok(Value::text(serde_json::Value::Object(object).to_string()))
            }
            Form::Csv => {
                let mut line = csv::WriterBuilder::new().from_writer(Vec::new());
                for (name, _, value) in values {
                    let text = to_text(&value).map_err(|e| format!("field `{name}`: {e}"))?;
                    line.write_field(text).map_err(|e| format!("field `{name}`: {e}"))?;
                }
                line.write_record(None::<&[u8]>).map_err(|e| e.to_string())?;
                let bytes = line.into_inner().map_err(|e| e.to_string())?;
                let text = String::from_utf8(bytes).map_err(|e| e.to_string())?;
                Ok(Value::text(text.trim_end_matches('\n')))
            }
            Form::Avro(schema) => {
                let mut record = Vec::with_capacity(values.len());
                for (name, kind, value) in values {
                    let value = to_avro(value, kind).map_err(|e| format!("field `{name}`: {e}"))?;
                    record.push((name.to_string(), value));
                }
                let bad = |e: apache_avro::Error| format!("Avro cannot write this: {e}");
                let writer = apache_avro::writer::datum::GenericDatumWriter::builder(schema)
                    .build()
                    .map_err(bad)?;
                let bytes = writer
                    .write_value_to_vec(apache_avro::types::Value::Record(record))
                    .map_err(bad)?;
                Ok(Value::Bytes(bytes.into()))
            }
        }
    }
}

fn to_avro(value: Value, kind: FieldType) -> Result<apache_avro::types::Value, String> {
    use apache_avro::types::Value as Avro;
    let inner = match (kind, value) {
        (_, Value::Null) => return Ok(Avro::Union(0, Box::new(Avro::Null))),
        (FieldType::Any | FieldType::List | FieldType::Record, value) => Avro::String(to_json(&value)?.to_string()),
        (_, Value::Bool(b)) => Avro::Boolean(b),
        (_, Value::Int(i)) => Avro::Long(i),
        (_, Value::Float(x)) => Avro::Double(x),
        (_, Value::Text(t)) => Avro::String(t.to_string()),
        (_, Value::Time(t)) => Avro::TimestampMicros(t.micros()),
        (_, Value::Bytes(b)) => Avro::Bytes(b.to_vec()),
        (_, other) => Avro::String(to_json(&other)?.to_string()),
    };
    Ok(Avro::Union(1, Box::new(inner)))
}

fn to_json(value: &Value) -> Result<serde_json::Value, String> {
    Ok(match value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(b) => (*b).into(),
        Value::Int(i) => (*i).into(),
        Value::Float(x) => serde_json::Number::from_f64(*x)
            .map(serde_json::Value::Number)
            .ok_or_else(|| format!("JSON has no number {x}"))?,
        Value::Text(t) => t.as_str().into(),
        Value::Time(_) | Value::Bytes(_) => value.to_string().into(),
        Value::List(items) => items.iter().map(to_json).collect::<Result<Vec<_>, _>>()?.into(),
        Value::Record(fields) => {
            let mut object = serde_json::Map::new();
            for (name, value) in fields.iter() {
                object.insert(name.to_string(), to_json(value)?);
            }
            object.into()
        }
    })
}

fn from_json(json: &serde_json::Value, kind: FieldType) -> Result<Value, String> {
    use serde_json::Value as Json;
    let refuse = || {
        Err(format!(
            "{json} is not a value of type {}",
            format!("{kind:?}").to_lowercase()
        ))
    };
    Ok(match (kind, json) {
        (_, Json::Null) => Value::Null,
        (FieldType::Any | FieldType::Bool, Json::Bool(b)) => Value::Bool(*b),
        (FieldType::Float, Json::Number(n)) => match n.as_f64() {
            Some(x) => Value::Float(x),
            None => return refuse(),
        },
        (FieldType::Any | FieldType::Int, Json::Number(n)) => match (n.as_i64(), n.as_f64()) {
            (Some(i), _) => Value::Int(i),
            (None, Some(x)) if kind == FieldType::Any => Value::Float(x),
            _ => return refuse(),
        },
        (FieldType::Time, Json::Number(n)) => match n.as_i64() {
            Some(micros) => Value::Time(Time::from_micros(micros)),
            None => return refuse(),
        },
        (FieldType::Any | FieldType::Text, Json::String(text)) => Value::text(text.as_str()),
        (FieldType::Time, Json::String(text)) => Value::Time(Time::parse(text)?),
        (FieldType::Bytes, Json::String(text)) => from_hex(text)?,
        (FieldType::Any | FieldType::List, Json::Array(items)) => {
            let items = items.iter().map(|item| from_json(item, FieldType::Any));
            Value::List(items.collect::<Result<Vec<_>, _>>()?.into())
        }
        (FieldType::Any | FieldType::Record, Json::Object(fields)) => {
            let fields = fields
                .iter()
                .map(|(n, v)| Ok((n.as_str().into(), from_json(v, FieldType::Any)?)));
            Value::Record(fields.collect::<Result<Vec<_>, String>>()?.into())
        }
        _ => return refuse(),
    })
}

fn to_text(value: &Value) -> Result<String, String> {
    Ok(match value {
        Value::Null => String::new(),
        Value::List(_) | Value::Record(_) => to_json(value)?.to_string(),
        other => other.to_string(),
    })
}

fn from_text(text: &str, kind: FieldType) -> Result<Value, String> {
    match kind {
        _ if text.is_empty() => Ok(Value::Null),
        FieldType::List | FieldType::Record => {
            let json = serde_json::from_str(text).map_err(|e| format!("bad JSON: {e}"))?;
            from_json(&json, kind)
        }
        FieldType::Bytes => from_hex(text),
        kind => cast(&Value::text(text), kind),
    }
}

fn from_hex(text: &str) -> Result<Value, String> {
    let refuse = || format!("`{text}` is not bytes; write pairs of hexadecimal digits after `0x`");
    let digits = text.strip_prefix("0x").ok_or_else(refuse)?.as_bytes();
    let digit = |c: u8| char::from(c).to_digit(16);
    let byte = |pair: &[u8]| match pair {
        [high, low] => u8::try_from(digit(*high)? * 16 + digit(*low)?).ok(),
        _ => None,
    };
    let bytes: Option<Vec<u8>> = digits.chunks(2).map(byte).collect();
    bytes.map(|b| Value::Bytes(b.into())).ok_or_else(refuse)
}
