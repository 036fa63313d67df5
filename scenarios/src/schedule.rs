//! When faults act: moments and periods since the start of the run.

use crate::time::Span;

/// Moments since the start: `"4m"` or `["4m", "6m"]`.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "serde_json::Value", into = "serde_json::Value")]
pub struct Moments(pub Vec<Span>);

/// Periods since the start, half-open: `"2m..5m"`, `"2m.."`, or a list of such.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "serde_json::Value", into = "serde_json::Value")]
pub struct Periods(pub Vec<(Span, Span)>);

impl TryFrom<serde_json::Value> for Moments {
    type Error = String;
    fn try_from(value: serde_json::Value) -> Result<Self, String> {
        Err(format!("{value} is not read yet"))
    }
}
impl From<Moments> for serde_json::Value {
    fn from(_: Moments) -> Self {
        Self::Null
    }
}
impl schemars::JsonSchema for Moments {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Moments".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!(true)
    }
}

impl TryFrom<serde_json::Value> for Periods {
    type Error = String;
    fn try_from(value: serde_json::Value) -> Result<Self, String> {
        Err(format!("{value} is not read yet"))
    }
}
impl From<Periods> for serde_json::Value {
    fn from(_: Periods) -> Self {
        Self::Null
    }
}
impl schemars::JsonSchema for Periods {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Periods".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!(true)
    }
}
