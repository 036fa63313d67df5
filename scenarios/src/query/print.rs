//! From tree to text: an expression as SQL that reads back to the same tree.

use std::fmt;

use sqlparser::keywords::ALL_KEYWORDS;

use super::functions::name_of;
use super::{Aggregate, AggregateFunction, BinaryOp, Expr, Function, UnaryOp};
use crate::schema::FieldType;
use crate::value::Value;

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(value) => literal(value, f),
            Self::Span(span) => write!(f, "interval '{span}'"),
            Self::Column(path) => {
                for (i, part) in path.iter().enumerate() {
                    f.write_str(if i > 0 { "." } else { "" })?;
                    identifier(part, f)?;
                }
                Ok(())
            }
            Self::Unary(UnaryOp::Minus, x) => write!(f, "-{}", Part(x)),
            Self::Unary(UnaryOp::Not, x) => write!(f, "not {}", Part(x)),
            Self::Binary(op, x, y) => write!(f, "{} {} {}", Part(x), op.symbol(), Part(y)),
            Self::IsNull(x, negated) => write!(f, "{} is {}null", Part(x), not(*negated)),
            Self::Between(x, low, high, negated) => {
                write!(
                    f,
                    "{} {}between {} and {}",
                    Part(x),
                    not(*negated),
                    Part(low),
                    Part(high)
                )
            }
            Self::InList(x, list, negated) => write!(f, "{} {}in ({})", Part(x), not(*negated), Commas(list)),
            Self::Like(x, pattern, negated) => write!(f, "{} {}like {}", Part(x), not(*negated), Part(pattern)),
            Self::Case(arms, otherwise) => {
                f.write_str("case")?;
                for (condition, value) in arms {
                    write!(f, " when {condition} then {value}")?;
                }
                if let Some(value) = otherwise {
                    write!(f, " else {value}")?;
                }
                f.write_str(" end")
            }
            Self::Cast(x, kind) => write!(f, "cast({x} as {})", sql_type(*kind)),
            Self::Call(function @ (Function::WindowStart | Function::WindowEnd), _) => f.write_str(name_of(*function)),
            Self::Call(function, args) => write!(f, "{}({})", name_of(*function), Commas(args)),
            Self::Aggregate(aggregate) => write!(f, "{aggregate}"),
        }
    }
}

impl fmt::Display for Aggregate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.function.name())?;
        match self.function {
            AggregateFunction::Top(k) | AggregateFunction::HeavyHitters(k) => write!(f, "{k}, ")?,
            AggregateFunction::Quantile(q) | AggregateFunction::ApproxQuantile(q) => write!(f, "{q:?}, ")?,
            _ => {}
        }
        f.write_str(if self.distinct { "distinct " } else { "" })?;
        match &self.argument {
            Some(x) => write!(f, "{x})")?,
            None => f.write_str("*)")?,
        }
        match &self.filter {
            Some(condition) => write!(f, " filter (where {condition})"),
            None => Ok(()),
        }
    }
}

impl BinaryOp {
    /// As SQL writes it.
    pub const fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Modulo => "%",
            Self::Concat => "||",
            Self::Equal => "=",
            Self::NotEqual => "<>",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::And => "and",
            Self::Or => "or",
        }
    }
}

/// An expression as part of a larger one: in brackets where it could be torn apart.
struct Part<'a>(&'a Expr);

impl fmt::Display for Part<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = match self.0 {
            Expr::Literal(Value::Int(i)) => *i >= 0,
            Expr::Literal(Value::Float(x)) => !x.is_sign_negative(),
            Expr::Literal(_) | Expr::Column(_) | Expr::Span(_) | Expr::Call(..) | Expr::Aggregate(_) => true,
            Expr::Cast(..) | Expr::Case(..) => true,
            Expr::Unary(..) | Expr::Binary(..) | Expr::IsNull(..) => false,
            Expr::Between(..) | Expr::InList(..) | Expr::Like(..) => false,
        };
        if whole {
            write!(f, "{}", self.0)
        } else {
            write!(f, "({})", self.0)
        }
    }
}

struct Commas<'a>(&'a [Expr]);

impl fmt::Display for Commas<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, x) in self.0.iter().enumerate() {
            write!(f, "{}{x}", if i > 0 { ", " } else { "" })?;
        }
        Ok(())
    }
}

const fn not(negated: bool) -> &'static str {
    if negated { "not " } else { "" }
}

fn literal(value: &Value, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match value {
        Value::Text(text) => write!(f, "'{}'", text.replace('\'', "''")),
        Value::Time(time) => write!(f, "timestamp '{time}'"),
        Value::Float(x) if x.is_infinite() => f.write_str(if *x > 0.0 { "1e999" } else { "-1e999" }),
        other => write!(f, "{other}"),
    }
}

fn identifier(name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let special = ["window_start", "window_end"].contains(&name.to_ascii_lowercase().as_str());
    let keyword = ALL_KEYWORDS.binary_search(&name.to_ascii_uppercase().as_str()).is_ok();
    if starts && name.chars().all(fits) && !special && !keyword {
        f.write_str(name)
    } else {
        write!(f, "\"{}\"", name.replace('"', "\"\""))
    }
}

const fn sql_type(kind: FieldType) -> &'static str {
    match kind {
        FieldType::Bool => "boolean",
        FieldType::Int => "bigint",
        FieldType::Float => "double",
        FieldType::Time => "timestamp",
        FieldType::Bytes => "bytes",
        FieldType::Text | FieldType::Any | FieldType::List | FieldType::Record => "text",
    }
}
