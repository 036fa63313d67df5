//! From the SQL parser's tree of an expression to ours, with an error at its place for what queries do not know.

use arcstr::ArcStr;
use sqlparser::ast::{self, Spanned as _};

use super::functions::{aggregate, all_names, function};
use super::parse::{SyntaxError, point};
use super::{Aggregate, AggregateFunction, BinaryOp, Expr, Function, UnaryOp};
use crate::schema::FieldType;
use crate::suggest::hint;
use crate::time::{Span, Time};
use crate::value::Value;

/// How deeply expressions may be nested, so that evaluators can follow them without exhausting the stack.
const DEEPEST: usize = 200;

type Result<T> = std::result::Result<T, SyntaxError>;

/// Converts expressions; knows the place to blame where the parser's tree has none.
#[derive(Clone, Copy)]
pub(super) struct Converter {
    /// Where the clause begins.
    pub place: (usize, usize),
    /// Whether aggregates may stand here.
    pub aggregates: bool,
    depth: usize,
}

impl Converter {
    pub const fn new(place: (usize, usize), aggregates: bool) -> Self {
        Self {
            place,
            aggregates,
            depth: 0,
        }
    }

    /// Where an expression begins, unless it is too deep to ask or the parser did not keep it.
    pub fn place_of(&self, part: &ast::Expr) -> (usize, usize) {
        let known = if spine(part) < DEEPEST {
            point(part.span().start)
        } else {
            None
        };
        known.unwrap_or(self.place)
    }

    fn refuse<T>(&self, place: (usize, usize), message: impl Into<String>) -> Result<T> {
        Err(SyntaxError::at(place, message))
    }

    /// Our tree of the parser's.
    pub fn expr(mut self, source: &ast::Expr) -> Result<Expr> {
        self.depth += 1;
        // Before anything recursive is asked of the tree: a long chain of operators leans to the left.
        self.place = self.place_of(source);
        if self.depth + spine(source) > DEEPEST {
            return self.refuse(
                self.place,
                format!("this expression is nested deeper than {DEEPEST} levels"),
            );
        }
        let boxed = |x: &ast::Expr| self.expr(x).map(Box::new);
        let coalesce =
            |x: Expr, otherwise: bool| Expr::Call(Function::Coalesce, vec![x, Expr::Literal(otherwise.into())]);
        let negate = |x: Expr| Expr::Unary(UnaryOp::Not, Box::new(x));
        Ok(match source {
            ast::Expr::Nested(x) => return self.expr(x),
            ast::Expr::Identifier(name) => self.column(std::slice::from_ref(name)),
            ast::Expr::CompoundIdentifier(path) => self.column(path),
            ast::Expr::Value(value) => Expr::Literal(self.value(&value.value)?),
            ast::Expr::TypedString(typed) => self.typed(typed)?,
            ast::Expr::Interval(interval) => Expr::Span(self.interval(interval)?),
            ast::Expr::UnaryOp { op, expr } => self.unary(*op, expr)?,
            ast::Expr::BinaryOp { left, op, right } => Expr::Binary(self.binary(op)?, boxed(left)?, boxed(right)?),
            ast::Expr::IsNull(x) | ast::Expr::IsUnknown(x) => Expr::IsNull(boxed(x)?, false),
            ast::Expr::IsNotNull(x) | ast::Expr::IsNotUnknown(x) => Expr::IsNull(boxed(x)?, true),
            ast::Expr::IsTrue(x) => coalesce(self.expr(x)?, false),
            ast::Expr::IsNotTrue(x) => negate(coalesce(self.expr(x)?, false)),
            ast::Expr::IsFalse(x) => negate(coalesce(self.expr(x)?, true)),
            ast::Expr::IsNotFalse(x) => coalesce(self.expr(x)?, true),
            ast::Expr::Between {
                expr,
                negated,
                low,
                high,
            } => Expr::Between(boxed(expr)?, boxed(low)?, boxed(high)?, *negated),
            ast::Expr::InList { expr, list, negated } => Expr::InList(boxed(expr)?, self.list(list)?, *negated),
            ast::Expr::Like {
                negated,
                any: false,
                expr,
                pattern,
                escape_char: None,
            } => Expr::Like(boxed(expr)?, boxed(pattern)?, *negated),
            ast::Expr::ILike {
                negated,
                any: false,
                expr,
                pattern,
                escape_char: None,
            } => {
                let lower = |x: Expr| Box::new(Expr::Call(Function::Lower, vec![x]));
                Expr::Like(lower(self.expr(expr)?), lower(self.expr(pattern)?), *negated)
            }
            ast::Expr::Case {
                operand,
                conditions,
                else_result,
                ..
            } => {
                let mut arms = Vec::with_capacity(conditions.len());
                for arm in conditions {
                    let condition = match operand {
                        Some(x) => Expr::Binary(BinaryOp::Equal, boxed(x)?, boxed(&arm.condition)?),
                        None => self.expr(&arm.condition)?,
                    };
                    arms.push((condition, self.expr(&arm.result)?));
                }
                Expr::Case(arms, else_result.as_deref().map(boxed).transpose()?)
            }
            ast::Expr::Cast {
                kind: ast::CastKind::Cast | ast::CastKind::DoubleColon,
                expr,
                data_type,
                ..
            } => Expr::Cast(boxed(expr)?, self.data_type(data_type)?),
            ast::Expr::Ceil { expr, field } => Expr::Call(self.whole(Function::Ceil, field)?, vec![self.expr(expr)?]),
            ast::Expr::Floor { expr, field } => Expr::Call(self.whole(Function::Floor, field)?, vec![self.expr(expr)?]),
            ast::Expr::Substring {
                expr,
                substring_from,
                substring_for,
                ..
            } => {
                let mut args = vec![self.expr(expr)?];
                match substring_from {
                    Some(from) => args.push(self.expr(from)?),
                    None => args.push(Expr::Literal(Value::Int(1))),
                }
                if let Some(count) = substring_for {
                    args.push(self.expr(count)?);
                }
                Expr::Call(Function::Substring, args)
            }
            ast::Expr::Trim {
                trim_where: None,
                trim_what: None,
                expr,
                trim_characters: None,
            } => Expr::Call(Function::Trim, vec![self.expr(expr)?]),
            ast::Expr::Function(call) => return self.call(call),
            ast::Expr::Subquery(_) | ast::Expr::InSubquery { .. } | ast::Expr::Exists { .. } => {
                return self.refuse(
                    self.place,
                    "a query inside a query is not known; chain two operators instead",
                );
            }
            other => {
                let text: String = other.to_string().chars().take(60).collect();
                return self.refuse(self.place, format!("`{text}` is not known in queries"));
            }
        })
    }

    /// Our trees of several.
    pub fn list(self, sources: &[ast::Expr]) -> Result<Vec<Expr>> {
        sources.iter().map(|x| self.expr(x)).collect()
    }

    fn column(&self, path: &[ast::Ident]) -> Expr {
        if let [only] = path
            && only.quote_style.is_none()
        {
            match only.value.to_ascii_lowercase().as_str() {
                "window_start" => return Expr::Call(Function::WindowStart, vec![]),
                "window_end" => return Expr::Call(Function::WindowEnd, vec![]),
                _ => {}
            }
        }
        Expr::Column(path.iter().map(|part| ArcStr::from(part.value.as_str())).collect())
    }

    fn value(&self, value: &ast::Value) -> Result<Value> {
        Ok(match value {
            ast::Value::Number(text, _) => self.number(text)?,
            ast::Value::SingleQuotedString(text) => Value::text(text.as_str()),
            ast::Value::Boolean(b) => Value::Bool(*b),
            ast::Value::Null => Value::Null,
            other => {
                let message =
                    format!("`{other}` is not known; write text in single quotes, numbers, true, false or null");
                return self.refuse(self.place, message);
            }
        })
    }

    fn number(&self, text: &str) -> Result<Value> {
        if text.bytes().all(|b| b.is_ascii_digit()) {
            return match text.parse() {
                Ok(whole) => Ok(Value::Int(whole)),
                Err(_) => self.refuse(
                    self.place,
                    format!("`{text}` is too large for a whole number of 64 bits"),
                ),
            };
        }
        match text.parse::<f64>() {
            Ok(x) if x.is_finite() => Ok(Value::Float(x)),
            Ok(_) => self.refuse(self.place, format!("`{text}` is too large for a number of 64 bits")),
            Err(_) => self.refuse(self.place, format!("`{text}` is not a number")),
        }
    }

    fn unary(&self, op: ast::UnaryOperator, operand: &ast::Expr) -> Result<Expr> {
        match op {
            ast::UnaryOperator::Plus => self.expr(operand),
            ast::UnaryOperator::Not => Ok(Expr::Unary(UnaryOp::Not, Box::new(self.expr(operand)?))),
            ast::UnaryOperator::Minus => {
                if let ast::Expr::Value(value) = operand
                    && let ast::Value::Number(text, _) = &value.value
                {
                    // The smallest whole number has no positive twin, so the sign goes in before reading.
                    if let Ok(whole) = format!("-{text}").parse() {
                        return Ok(Expr::Literal(Value::Int(whole)));
                    }
                    if let Value::Float(x) = self.number(text)? {
                        return Ok(Expr::Literal(Value::Float(-x)));
                    }
                }
                Ok(Expr::Unary(UnaryOp::Minus, Box::new(self.expr(operand)?)))
            }
            other => self.refuse(self.place, format!("the operator `{other}` is not known in queries")),
        }
    }

    fn binary(&self, op: &ast::BinaryOperator) -> Result<BinaryOp> {
        use ast::BinaryOperator as Sql;
        Ok(match op {
            Sql::Plus => BinaryOp::Add,
            Sql::Minus => BinaryOp::Subtract,
            Sql::Multiply => BinaryOp::Multiply,
            Sql::Divide => BinaryOp::Divide,
            Sql::Modulo => BinaryOp::Modulo,
            Sql::StringConcat => BinaryOp::Concat,
            Sql::Eq => BinaryOp::Equal,
            Sql::NotEq => BinaryOp::NotEqual,
            Sql::Lt => BinaryOp::Less,
            Sql::LtEq => BinaryOp::LessOrEqual,
            Sql::Gt => BinaryOp::Greater,
            Sql::GtEq => BinaryOp::GreaterOrEqual,
            Sql::And => BinaryOp::And,
            Sql::Or => BinaryOp::Or,
            other => return self.refuse(self.place, format!("the operator `{other}` is not known in queries")),
        })
    }

    fn data_type(&self, sql: &ast::DataType) -> Result<FieldType> {
        let text = sql.to_string().to_lowercase();
        let word = text.split([' ', '(']).next().unwrap_or_default();
        Ok(match word {
            "bool" | "boolean" => FieldType::Bool,
            "int" | "integer" | "bigint" | "smallint" | "tinyint" | "int8" | "int64" => FieldType::Int,
            "float" | "double" | "real" | "float8" | "float64" => FieldType::Float,
            "text" | "string" | "varchar" | "char" | "character" => FieldType::Text,
            "timestamp" | "timestamptz" | "time" => FieldType::Time,
            "bytes" | "bytea" | "binary" | "varbinary" => FieldType::Bytes,
            _ => {
                let near = hint(word, ["boolean", "bigint", "double", "text", "timestamp", "bytes"]);
                return self.refuse(self.place, format!("nothing can be cast to `{text}`{near}"));
            }
        })
    }

    fn typed(&self, typed: &ast::TypedString) -> Result<Expr> {
        let ast::Value::SingleQuotedString(text) = &typed.value.value else {
            return self.refuse(self.place, "a constant of that type is written in single quotes");
        };
        match self.data_type(&typed.data_type)? {
            FieldType::Time => match parse_timestamp(text) {
                Ok(time) => Ok(Expr::Literal(Value::Time(time))),
                Err(why) => self.refuse(self.place, format!("`{text}` is not a point in time: {why}")),
            },
            kind => Ok(Expr::Cast(Box::new(Expr::Literal(Value::text(text.as_str()))), kind)),
        }
    }

    fn interval(&self, interval: &ast::Interval) -> Result<Span> {
        let text = match &*interval.value {
            ast::Expr::Value(value) => match &value.value {
                ast::Value::SingleQuotedString(text) | ast::Value::Number(text, _) => text.clone(),
                _ => String::new(),
            },
            _ => String::new(),
        };
        if interval.last_field.is_some() || interval.leading_precision.is_some() {
            return self.refuse(self.place, "write an interval with one unit, like interval '90' second");
        }
        let with_unit = match &interval.leading_field {
            Some(unit) => format!("{text} {}", unit.to_string().to_lowercase()),
            None => text,
        };
        Span::parse(&with_unit).or_else(|why| self.refuse(self.place, why))
    }

    fn whole(&self, function: Function, field: &ast::CeilFloorKind) -> Result<Function> {
        match field {
            ast::CeilFloorKind::DateTimeField(ast::DateTimeField::NoDateTime) => Ok(function),
            _ => self.refuse(self.place, "`floor` and `ceil` take one argument"),
        }
    }

    fn call(&self, call: &ast::Function) -> Result<Expr> {
        let place = self.place;
        let name = call.name.to_string().to_lowercase();
        if call.over.is_some() {
            return self.refuse(
                place,
                "`over` is not known; the window stands after the stream's name: window tumbling(1 min)",
            );
        }
        if !call.within_group.is_empty() || call.null_treatment.is_some() || call.uses_odbc_syntax {
            return self.refuse(
                place,
                format!("`{name}` takes no `within group` and no treatment of nulls"),
            );
        }
        let (distinct, args) = match &call.args {
            ast::FunctionArguments::None => (false, [].as_slice()),
            ast::FunctionArguments::Subquery(_) => return self.refuse(place, "a query inside a query is not known"),
            ast::FunctionArguments::List(list) => {
                if !list.clauses.is_empty() {
                    return self.refuse(place, format!("`{name}` takes only arguments, no further clauses"));
                }
                let distinct = list.duplicate_treatment == Some(ast::DuplicateTreatment::Distinct);
                (distinct, list.args.as_slice())
            }
        };
        // With a number behind it, SQL's navigation within a match.
        let name = match (name.as_str(), args.len()) {
            ("first", 2) => "nth".to_owned(),
            ("last", 2) => "prev".to_owned(),
            _ => name,
        };
        if let Some(found) = function(&name) {
            if distinct || call.filter.is_some() {
                return self.refuse(
                    place,
                    format!("`{name}` is no aggregate: it takes no `distinct` and no `filter`"),
                );
            }
            let (from, to) = found.arguments;
            if args.len() < from || args.len() > to {
                let wanted = match (from, to) {
                    (0, 0) => "no argument".to_owned(),
                    (1, 1) => "one argument".to_owned(),
                    (a, b) if a == b => format!("{a} arguments"),
                    (a, 64) => format!("at least {a}"),
                    (a, b) => format!("{a} or {b} arguments"),
                };
                return self.refuse(place, format!("`{name}` takes {wanted}, not {}", args.len()));
            }
            let args = args
                .iter()
                .map(|arg| self.argument(&name, arg))
                .collect::<Result<_>>()?;
            return Ok(Expr::Call(found.function, args));
        }
        if aggregate(&name).is_some() {
            return self.aggregate(&name, distinct, args, call.filter.as_deref());
        }
        self.refuse(
            place,
            format!("there is no function `{name}`{}", hint(&name, all_names())),
        )
    }

    fn argument(&self, name: &str, arg: &ast::FunctionArg) -> Result<Expr> {
        match arg {
            ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(x)) => self.expr(x),
            other => self.refuse(self.place, format!("`{name}` cannot take `{other}` as its argument")),
        }
    }

    fn aggregate(
        self,
        name: &str,
        distinct: bool,
        args: &[ast::FunctionArg],
        filter: Option<&ast::Expr>,
    ) -> Result<Expr> {
        let place = self.place;
        if !self.aggregates {
            let message = format!(
                "the aggregate `{name}` cannot stand here: only in `select`, `having` and `order by`, not inside another"
            );
            return self.refuse(place, message);
        }
        let inner = Self {
            aggregates: false,
            ..self
        };
        let descriptor = aggregate(name);
        let parameter = match descriptor.and_then(|d| d.parameter) {
            None => None,
            Some(meaning) => match args.first().map(|arg| inner.argument(name, arg)).transpose()? {
                Some(Expr::Literal(value)) if args.len() == 2 => Some((value, meaning)),
                _ => {
                    let message = format!("`{name}` takes two arguments, the first a constant: {meaning}");
                    return self.refuse(place, message);
                }
            },
        };
        let args = if parameter.is_some() { &args[1..] } else { args };
        let [arg] = args else {
            return self.refuse(place, format!("`{name}` takes one argument, not {}", args.len()));
        };
        let star = matches!(arg, ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Wildcard));
        let argument = match (name, star) {
            ("count", true) if distinct => {
                return self.refuse(place, "`count(distinct *)` is not known; name a column");
            }
            ("count", true) => None,
            (_, true) => return self.refuse(place, format!("`{name}(*)` means nothing; name a column")),
            _ => Some(inner.argument(name, arg)?),
        };
        let function = self.aggregate_function(name, parameter)?;
        if distinct
            && !matches!(
                function,
                AggregateFunction::Count | AggregateFunction::Sum | AggregateFunction::Avg
            )
        {
            return self.refuse(place, format!("`{name}` takes no `distinct`; count, sum and avg do"));
        }
        let filter = filter.map(|condition| inner.expr(condition)).transpose()?;
        Ok(Expr::Aggregate(Box::new(Aggregate {
            function,
            argument,
            distinct,
            filter,
        })))
    }

    fn aggregate_function(&self, name: &str, parameter: Option<(Value, &str)>) -> Result<AggregateFunction> {
        let wrong = |value: &Value, meaning: &str| {
            SyntaxError::at(
                self.place,
                format!("the first argument of `{name}` is {meaning}, not `{value}`"),
            )
        };
        let count = |parameter: &Option<(Value, &str)>| match parameter {
            Some((Value::Int(k), _)) if (1..=1_000_000).contains(k) => Ok(*k as u32),
            Some((value, meaning)) => Err(wrong(value, meaning)),
            None => Ok(1),
        };
        let share = |parameter: &Option<(Value, &str)>| match parameter {
            Some((value, meaning)) => match value.as_f64() {
                Some(q) if (0.0..=1.0).contains(&q) => Ok(q),
                _ => Err(wrong(value, meaning)),
            },
            None => Ok(0.5),
        };
        Ok(match name {
            "count" => AggregateFunction::Count,
            "sum" => AggregateFunction::Sum,
            "min" => AggregateFunction::Min,
            "max" => AggregateFunction::Max,
            "avg" | "mean" => AggregateFunction::Avg,
            "stddev_pop" => AggregateFunction::StddevPop,
            "stddev" | "stddev_samp" => AggregateFunction::StddevSamp,
            "var_pop" => AggregateFunction::VarPop,
            "variance" | "var_samp" => AggregateFunction::VarSamp,
            "first" | "first_value" => AggregateFunction::First,
            "last" | "last_value" => AggregateFunction::Last,
            "top" => AggregateFunction::Top(count(&parameter)?),
            "median" => AggregateFunction::Median,
            "quantile" => AggregateFunction::Quantile(share(&parameter)?),
            "approx_quantile" => AggregateFunction::ApproxQuantile(share(&parameter)?),
            "approx_count_distinct" => AggregateFunction::ApproxCountDistinct,
            "heavy_hitters" => AggregateFunction::HeavyHitters(count(&parameter)?),
            "collect" => AggregateFunction::Collect,
            _ => return self.refuse(self.place, format!("there is no aggregate `{name}`")),
        })
    }
}

/// How far an expression leans to the left.
fn spine(mut expr: &ast::Expr) -> usize {
    let mut depth = 0;
    loop {
        expr = match expr {
            ast::Expr::BinaryOp { left: x, .. }
            | ast::Expr::IsNull(x)
            | ast::Expr::IsNotNull(x)
            | ast::Expr::IsTrue(x)
            | ast::Expr::IsFalse(x)
            | ast::Expr::Nested(x)
            | ast::Expr::UnaryOp { expr: x, .. }
            | ast::Expr::Cast { expr: x, .. }
            | ast::Expr::Between { expr: x, .. }
            | ast::Expr::InList { expr: x, .. }
            | ast::Expr::Like { expr: x, .. } => x,
            _ => return depth,
        };
        depth += 1;
    }
}

/// A timestamp as SQL writes it (`2013-01-01 10:15:00`, taken as UTC) or as RFC 3339 does.
fn parse_timestamp(text: &str) -> std::result::Result<Time, String> {
    Time::parse(text).or_else(|why| {
        let mut plain = text.trim().replacen(' ', "T", 1);
        if !plain.contains('T') {
            plain.push_str("T00:00:00");
        }
        plain.push('Z');
        Time::parse(&plain).map_err(|_| why)
    })
}
