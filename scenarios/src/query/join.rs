//! The joins of a `from` clause: `a join b on … within …`, `a join b on … window tumbling(1 min)`,
//! `a left join b for system_time as of event_time(a) on …`.
//!
//! What they mean:
//!
//! - A chain is read from the left: each joined stream is paired with the results of all joins before it, as if two
//!   operators stood one behind the other. Each matching combination is given exactly once.
//! - A pair matches when every condition of `on` is true of it; one that is null, or cannot be computed (text compared
//!   with a number), does not match.
//! - **Interval join.** The time of the joined event minus that of its partner lies between two bounds. `within`
//!   measures from the event time of what stands to the left; a condition with `event_time(x)` from that of stream `x`.
//!   An operator without such a bound would have to keep every event for ever, and is refused.
//! - **Window join.** `window …` behind the last join: combinations of events of the same window, once for each window
//!   that holds all of them, when the window is complete.
//! - **Table join.** `for system_time as of event_time(x)`: the newest version of the stream's row with that key whose
//!   stamp is not later. Versions are told apart by the equalities of `on`; its other conditions are asked of the
//!   version that was found.
//! - The event time of a result is the latest of its parts; with `result_stamp = "earliest"` the earliest. In a window
//!   join `result_stamp` says it as it does for aggregates; in a table join it is that of the left side.
//! - An **outer** join gives what has no partner with nulls on the other side: of an event at `t` whose partners lie at
//!   most `b` later, when the watermark says that none can come any more (`w ≥ t + b`), and at the same moment its
//!   state is dropped. In a chain the same holds for each result of the joins before: it is kept as long as a partner
//!   can come.
//! - An event is **late** when its first possible partner may have been dropped: `w ≥ t + horizon` (a tick less or more
//!   by `late_when`). `horizon` makes the whole join wait by so much: late events are fewer, and null rows, window
//!   results and the watermark that is passed on come later. In a window join an event is late when all its windows are
//!   complete (a session: when one of its own would be), or by its own stamp, as `late_by` says.
//! - `where`, then `select` are asked of each combination. One for which `where` is not true, or which cannot be
//!   computed, is not given; an event that is in no result is filtered, or has failed when one of its results could not
//!   be computed.
//! - What comes of one event or watermark is given in order of (event time, ids of the parts, null first).

use arcstr::ArcStr;
use sqlparser::tokenizer::Token;

use super::from::{CLAUSES, From, Place, Reader, span};
use super::parse::{SyntaxError, expr_of, is_word, point};
use super::{BinaryOp, Expr, Function, Query, SelectItem, UnaryOp, Window};
use crate::suggest::hint;
use crate::time::Span;

type Result<T> = std::result::Result<T, SyntaxError>;

/// One stream that is joined to all before it.
#[derive(Clone, PartialEq, Debug)]
pub struct Join {
    /// What happens to what has no partner.
    pub kind: JoinKind,
    /// The input that is joined.
    pub stream: ArcStr,
    /// The name that the query gives it, if any.
    pub alias: Option<ArcStr>,
    /// What must be true of a pair, all of it; bounds on time are in `bound`.
    pub on: Vec<Expr>,
    /// Which events are near enough in time.
    pub bound: JoinBound,
}

/// What happens to events without a partner.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum JoinKind {
    /// Nothing.
    Inner,
    /// Those to the left are given with nulls.
    Left,
    /// Those of the joined stream are given with nulls.
    Right,
    /// Both.
    Full,
}

impl JoinKind {
    /// Whether what stands to the left is given without a partner.
    pub const fn keeps_left(self) -> bool {
        matches!(self, Self::Left | Self::Full)
    }
    /// Whether events of the joined stream are given without a partner.
    pub const fn keeps_right(self) -> bool {
        matches!(self, Self::Right | Self::Full)
    }
}

/// How the streams of a join and the inputs of its operator differ.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum WrongInput {
    /// A stream of the query that is no input.
    Missing(ArcStr),
    /// An input that the query does not read.
    Unread(String),
}

impl std::fmt::Display for WrongInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing(name) => write!(f, "the query joins `{name}`, which is no input of this operator"),
            Self::Unread(name) => write!(f, "the query does not read the input `{name}`"),
        }
    }
}

/// Which events of a joined stream are near enough in time.
#[derive(Clone, PartialEq, Debug)]
pub enum JoinBound {
    /// The joined event's time minus that of the anchor lies between these.
    Interval {
        /// Measured from where.
        anchor: Anchor,
        /// The least distance; negative for events before the anchor.
        lower: Limit,
        /// The greatest distance.
        upper: Limit,
    },
    /// In the same window as the others: [`Query::window`].
    Window,
    /// The newest version at the time of the anchor.
    Version {
        /// At whose time.
        anchor: Anchor,
        /// The oldest version that still counts.
        max_age: Option<Limit>,
    },
    /// Both are among the last events of their streams, in order of arrival.
    Last {
        /// So many of the left.
        left: u64,
        /// So many of the joined one.
        right: u64,
    },
}

/// Where the distance of a joined event is measured from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Anchor {
    /// The event time of what stands to the left: an event's, or a result's of the joins before.
    Left,
    /// The event time of that stream's event: 0 is the one behind `from`.
    Stream(usize),
}

/// One end of an interval of time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limit {
    /// How far.
    pub span: Span,
    /// Whether the end itself still counts; `None` leaves it to the operator's `join` settings.
    pub inclusive: Option<bool>,
}

/// Words that begin a joined stream.
pub(super) const JOINS: &[&str] = &["join", "inner", "left", "right", "full", "cross", "natural", "outer"];
/// Words that follow a joined stream.
pub(super) const BEHIND: &[&str] = &["on", "within", "for", "using"];

impl Query {
    /// The streams that it reads and what each may be called, in order: the one behind `from`, then those joined.
    pub fn streams(&self) -> Vec<(&ArcStr, Option<&ArcStr>)> {
        let joined = self.joins.iter().map(|join| (&join.stream, join.alias.as_ref()));
        std::iter::once((&self.from, self.alias.as_ref()))
            .chain(joined)
            .collect()
    }

    /// For each of its streams, which entry of the operator's `input` list it is; every entry is read.
    ///
    /// # Errors
    /// The name of a stream that is no input, or of an input that is not read.
    pub fn inputs_of(&self, inputs: &[String]) -> std::result::Result<Vec<usize>, WrongInput> {
        let streams = self.streams();
        let place = |stream: &ArcStr| inputs.iter().position(|entry| entry.eq_ignore_ascii_case(stream));
        let places: Vec<usize> = streams
            .iter()
            .map(|(stream, _)| place(stream).ok_or_else(|| WrongInput::Missing((*stream).clone())))
            .collect::<std::result::Result<_, _>>()?;
        match (0..inputs.len()).find(|i| !places.contains(i)) {
            Some(unread) => Err(WrongInput::Unread(inputs[unread].clone())),
            None => Ok(places),
        }
    }

    /// Which of its streams goes by that name, in any case.
    pub fn stream_called(&self, name: &str) -> Option<usize> {
        called(&self.streams(), name)
    }
}

fn called(streams: &[(&ArcStr, Option<&ArcStr>)], name: &str) -> Option<usize> {
    let by_alias = |(_, alias): &(&ArcStr, Option<&ArcStr>)| alias.is_some_and(|a| a.eq_ignore_ascii_case(name));
    let by_name = |(stream, _): &(&ArcStr, Option<&ArcStr>)| stream.eq_ignore_ascii_case(name);
    let alias = streams.iter().position(by_alias);
    alias.or_else(|| streams.iter().position(by_name))
}

/// Reads the joins that follow the first stream; a window behind them becomes that of the whole.
pub(super) fn joins(reader: &mut Reader<'_>, from: &mut From) -> Result<Vec<Join>> {
    let mut joins: Vec<Join> = Vec::new();
    let mut own = vec![(from.window.take(), reader.place())];
    let mut windows: Option<(Window, Place)> = None;
    while let Some((kind, place)) = kind(reader)? {
        if let Some((_, place)) = &windows {
            let message = "the window of a join stands behind the last of its streams";
            return Err(SyntaxError::at(*place, message));
        }
        let at = reader.place();
        let mut right = reader.clause()?;
        let mut version = None;
        if reader.take_word("for") {
            version = Some(as_of(reader)?);
            if right.alias.is_none() {
                right.alias = alias(reader)?;
            }
        }
        own.push((right.window.take(), at));
        let mut conditions = Vec::new();
        let mut condition_at = reader.place();
        if reader.take_word("on") {
            condition_at = reader.place();
            let condition = condition(reader)?;
            conjuncts(condition, &mut conditions);
        } else if reader.take_word("using") {
            return Err(SyntaxError::at(condition_at, "write `on a.x = b.x` instead of `using`"));
        }
        let mut within = None;
        if reader.peek().is_some_and(|t| is_word(t, "within")) {
            within = Some(limits(reader)?);
        }
        if reader.take_word("window") {
            windows = Some((reader.window()?, place));
        }
        let name = (right.name.clone(), right.alias.clone());
        let mut names: Vec<(&ArcStr, Option<&ArcStr>)> = vec![(&from.name, from.alias.as_ref())];
        names.extend(joins.iter().map(|join| (&join.stream, join.alias.as_ref())));
        for taken in [Some(&name.0), name.1.as_ref()].into_iter().flatten() {
            if called(&names, taken).is_some() {
                let message = format!(
                    "two streams of this join are called `{taken}`; an operator reads each of its inputs once, and names \
                     are told apart by `as`"
                );
                return Err(SyntaxError::at(at, message));
            }
        }
        names.push((&name.0, name.1.as_ref()));
        let mut times = Times::default();
        let mut on = Vec::new();
        for condition in conditions {
            if let Some(unknown) = unknown_stream(&condition, &names) {
                let near = hint(&unknown, names.iter().map(|(n, a)| a.unwrap_or(n).as_str()));
                let message = format!("`event_time` takes a stream of the join, and there is no `{unknown}`{near}");
                return Err(SyntaxError::at(condition_at, message));
            }
            if !times.take(&condition, &names) {
                on.push(condition);
            }
        }
        let bound = bound(version, within, times, place)?;
        joins.push(Join {
            kind,
            stream: right.name,
            alias: right.alias,
            on,
            bound,
        });
    }
    if joins.is_empty() {
        from.window = own.pop().and_then(|(window, _)| window);
        return Ok(joins);
    }
    settle(&mut joins, own, windows.as_ref())?;
    from.window = windows.map(|(window, _)| window);
    Ok(joins)
}

/// Gives joins without a bound of their own that of the windows.
fn settle(joins: &mut [Join], own: Vec<(Option<Window>, Place)>, window: Option<&(Window, Place)>) -> Result<()> {
    let places: Vec<Place> = own.iter().skip(1).map(|(_, at)| *at).collect();
    let streams: Vec<Option<(Window, Place)>> = own.into_iter().map(|(w, at)| w.map(|w| (w, at))).collect();
    if let Some((_, place)) = streams.iter().flatten().next() {
        let message = "each stream of such a join has a window of its own: `from a window length(3) join b window \
                       length(1) on …`; one window for all stands behind the last `on`";
        let wrong = || SyntaxError::at(*place, message);
        let ([join], [Some((left, _)), Some((right, _))]) = (joins, streams.as_slice()) else {
            return Err(wrong());
        };
        if !matches!(join.bound, JoinBound::Window) || window.is_some() {
            return Err(wrong());
        }
        join.bound = match (left, right) {
            (Window::Length(left), Window::Length(right)) => JoinBound::Last {
                left: *left,
                right: *right,
            },
            (
                Window::Sliding {
                    size: left,
                    on_change: false,
                },
                Window::Sliding {
                    size: right,
                    on_change: false,
                },
            ) => {
                let exclusive = |span: Span| Limit {
                    span,
                    inclusive: Some(false),
                };
                JoinBound::Interval {
                    anchor: Anchor::Left,
                    lower: exclusive(-*right),
                    upper: exclusive(*left),
                }
            }
            _ => {
                let message = "the streams of a join have `window length(n)` each, or `window time(…)` each";
                return Err(SyntaxError::at(*place, message));
            }
        };
        return Ok(());
    }
    for (join, place) in joins.iter().zip(places) {
        match (&join.bound, window) {
            (JoinBound::Window, Some(_)) => {}
            (JoinBound::Window, None) => {
                let message = format!(
                    "the join with `{}` has no bound in time, so every event would be kept for ever; write `within (5 min \
                     before, 1 hour after)`, or `on … and event_time({0}) between …`, or a window behind it",
                    join.alias.as_ref().unwrap_or(&join.stream)
                );
                return Err(SyntaxError::at(place, message));
            }
            (_, Some((_, place))) => {
                let message = "a join has a bound on distance or a window, and here are both";
                return Err(SyntaxError::at(*place, message));
            }
            (_, None) => {}
        }
    }
    if let Some((window, place)) = window
        && !matches!(
            window,
            Window::Tumbling { .. } | Window::Hop { .. } | Window::Session { .. } | Window::Cumulate { .. }
        )
    {
        let message = "streams are joined over tumbling, hop, cumulate and session windows";
        return Err(SyntaxError::at(*place, message));
    }
    if matches!(window, Some((Window::Session { .. }, _))) && joins.len() > 1 {
        let message = "a session joins two streams; chain two operators for three";
        return Err(SyntaxError::at(window.map_or((1, 1), |(_, place)| *place), message));
    }
    Ok(())
}

/// `[inner] join`, `left [outer] join`, …, and where it stands.
fn kind(reader: &mut Reader<'_>) -> Result<Option<(JoinKind, Place)>> {
    let place = reader.place();
    let kind = if reader.take_word("join") {
        return Ok(Some((JoinKind::Inner, place)));
    } else if reader.take_word("inner") {
        JoinKind::Inner
    } else if reader.take_word("left") {
        JoinKind::Left
    } else if reader.take_word("right") {
        JoinKind::Right
    } else if reader.take_word("full") {
        JoinKind::Full
    } else if reader.peek().is_some_and(|t| JOINS.iter().any(|word| is_word(t, word))) {
        return reader.refuse("this join is not known; there are `join`, `left join`, `right join` and `full join`");
    } else {
        return Ok(None);
    };
    if kind != JoinKind::Inner {
        let _ = reader.take_word("outer");
    }
    if !reader.take_word("join") {
        let word = match kind {
            JoinKind::Inner => "inner",
            JoinKind::Left => "left",
            JoinKind::Right => "right",
            JoinKind::Full => "full",
        };
        return reader.refuse(format!(
            "`join` is missing here: write `{word} join b on …`, or `as {word}` if it is another name of the stream"
        ));
    }
    Ok(Some((kind, place)))
}

/// `system_time as of event_time(x)`.
fn as_of(reader: &mut Reader<'_>) -> Result<(Expr, Place)> {
    let place = reader.place();
    for word in ["system_time", "as", "of"] {
        if !reader.take_word(word) {
            return reader.refuse("a table join says `for system_time as of event_time(a)`");
        }
    }
    let begin = reader.next;
    while reader.peek().is_some_and(|t| t.token != Token::RParen) {
        reader.next += 1;
    }
    reader.next += usize::from(reader.peek().is_some());
    let expr = expr_of(&reader.tokens[begin..reader.next], reader.end)?;
    Ok((expr, place))
}

fn alias(reader: &mut Reader<'_>) -> Result<Option<ArcStr>> {
    if reader.take_word("as") {
        return reader.simple_name("a name is missing after `as`").map(Some);
    }
    match reader.peek() {
        Some(token) if ends_stream(token) => Ok(None),
        Some(token) => match &token.token {
            Token::Word(word) if reader.may_name(&word.value) => reader.simple_name("a name is missing").map(Some),
            Token::Word(word) => {
                let known = CLAUSES.iter().chain(JOINS).chain(BEHIND).chain(&["window", "as"]);
                let near = hint(&word.value, known.copied());
                reader.refuse(format!(
                    "`{}` is not expected after the stream's name{near}",
                    word.value
                ))
            }
            _ => Ok(None),
        },
        None => Ok(None),
    }
}

fn ends_stream(token: &sqlparser::tokenizer::TokenWithSpan) -> bool {
    let words = CLAUSES.iter().chain(JOINS).chain(BEHIND).chain(&["window"]);
    words.into_iter().any(|word| is_word(token, word))
}

/// The condition behind `on`.
fn condition(reader: &mut Reader<'_>) -> Result<Expr> {
    let begin = reader.next;
    let mut depth = 0i32;
    while let Some(token) = reader.peek() {
        match token.token {
            Token::LParen => depth += 1,
            Token::RParen => depth -= 1,
            Token::SemiColon => break,
            _ if depth == 0 && ends_stream(token) => break,
            _ => {}
        }
        reader.next += 1;
    }
    if begin == reader.next {
        return reader.refuse("the condition behind `on` is missing");
    }
    let end = reader.peek().and_then(|t| point(t.span.start)).unwrap_or(reader.end);
    expr_of(&reader.tokens[begin..reader.next], end)
}

fn conjuncts(expr: Expr, into: &mut Vec<Expr>) {
    match expr {
        Expr::Binary(BinaryOp::And, x, y) => {
            conjuncts(*x, into);
            conjuncts(*y, into);
        }
        Expr::Literal(crate::value::Value::Bool(true)) => {}
        other => into.push(other),
    }
}

/// `within (5 min before, 1 hour after) [of a]`: the two ends, and whose time they are measured from.
fn limits(reader: &mut Reader<'_>) -> Result<(Span, Span, Option<ArcStr>, Place)> {
    let place = reader.place();
    reader.next += 1;
    let arguments = reader.arguments()?;
    let (mut before, mut after) = (None, None);
    for mut argument in arguments {
        let text = argument.text;
        let (rest, sides) = match text.rsplit_once(char::is_whitespace) {
            Some((rest, word)) if word.eq_ignore_ascii_case("before") => (rest, [true, false]),
            Some((rest, word)) if word.eq_ignore_ascii_case("after") => (rest, [false, true]),
            _ => (text, [true, true]),
        };
        argument.text = rest.trim();
        let length = span(&argument)?;
        for (side, slot) in sides.into_iter().zip([&mut before, &mut after]) {
            if side && slot.replace(length).is_some() {
                let message =
                    "`within` takes one span before and one after, as in `within (5 min before, 1 hour after)`";
                return Err(SyntaxError::at(argument.place, message));
            }
        }
    }
    if before.is_none() && after.is_none() {
        let message =
            "how far apart? Write `within (5 min before, 1 hour after)`, or one of the two, or `within (1 hour)`";
        return Err(SyntaxError::at(place, message));
    }
    let anchor = match reader.take_word("of") {
        true => Some(reader.simple_name("whose time is it measured from? Write the name of a stream after `of`")?),
        false => None,
    };
    Ok((-before.unwrap_or_default(), after.unwrap_or_default(), anchor, place))
}

/// What a joined stream's clauses say about time.
fn bound(
    version: Option<(Expr, Place)>,
    within: Option<(Span, Span, Option<ArcStr>, Place)>,
    times: Times,
    place: Place,
) -> Result<JoinBound> {
    let limit = |span: Span| Limit { span, inclusive: None };
    let anchor = |name: Option<ArcStr>, at: Place| match name {
        None => Ok(Anchor::Left),
        Some(name) => match times.index_of(&name) {
            Some(index) => Ok(Anchor::Stream(index)),
            None => Err(SyntaxError::at(
                at,
                format!("there is no stream `{name}` before this one"),
            )),
        },
    };
    if let Some((expr, at)) = version {
        let Expr::Call(Function::EventTime, arguments) = &expr else {
            return Err(SyntaxError::at(
                at,
                "a table join says `for system_time as of event_time(a)`",
            ));
        };
        let at_time = match arguments.first() {
            Some(Expr::Column(path)) if path.len() == 1 => anchor(path.first().cloned(), at)?,
            None => Anchor::Left,
            Some(_) => return Err(SyntaxError::at(at, "`event_time` takes the name of a stream")),
        };
        if times.any() {
            let message =
                "a table join finds its version by `as of`; say how old it may be with `within (1 hour before)`";
            return Err(SyntaxError::at(place, message));
        }
        let max_age = match within {
            None => None,
            Some((lower, Span::ZERO, None, _)) => Some(limit(-lower)),
            Some((_, _, _, at)) => {
                let message = "a version is never newer than its event: write `within (1 hour before)`";
                return Err(SyntaxError::at(at, message));
            }
        };
        return Ok(JoinBound::Version {
            anchor: at_time,
            max_age,
        });
    }
    match within {
        Some((_, _, _, at)) if times.any() => {
            let message = "`within` and a condition on `event_time` both bound the distance; keep one of them";
            Err(SyntaxError::at(at, message))
        }
        Some((lower, upper, name, at)) => Ok(JoinBound::Interval {
            anchor: anchor(name, at)?,
            lower: limit(lower),
            upper: limit(upper),
        }),
        None => match times.whole() {
            Ok(Some((anchor, lower, upper))) => Ok(JoinBound::Interval {
                anchor: Anchor::Stream(anchor),
                lower,
                upper,
            }),
            Ok(None) => Ok(JoinBound::Window),
            Err(missing) => {
                let message = format!(
                    "the distance in time has no {missing} bound, so events would be kept for ever; bound it on both sides"
                );
                Err(SyntaxError::at(place, message))
            }
        },
    }
}

/// The bounds on time among the conditions of one join.
#[derive(Default)]
struct Times {
    names: Vec<(ArcStr, Option<ArcStr>)>,
    /// The stream that distances are measured from.
    anchor: Option<usize>,
    lower: Option<Limit>,
    upper: Option<Limit>,
}

impl Times {
    fn index_of(&self, name: &str) -> Option<usize> {
        let names: Vec<_> = self.names.iter().map(|(n, a)| (n, a.as_ref())).collect();
        called(&names, name)
    }
    const fn any(&self) -> bool {
        self.anchor.is_some()
    }
    fn whole(&self) -> std::result::Result<Option<(usize, Limit, Limit)>, &'static str> {
        match (self.anchor, self.lower, self.upper) {
            (None, ..) => Ok(None),
            (Some(anchor), Some(lower), Some(upper)) => Ok(Some((anchor, lower, upper))),
            (_, None, _) => Err("lower"),
            (_, _, None) => Err("upper"),
        }
    }

    /// Takes a condition in, if it bounds the distance of the last of `names` from one of the others.
    fn take(&mut self, condition: &Expr, names: &[(&ArcStr, Option<&ArcStr>)]) -> bool {
        if self.names.is_empty() {
            let others = names.iter().take(names.len() - 1);
            self.names = others.map(|(n, a)| ((*n).clone(), a.cloned())).collect();
        }
        use BinaryOp as Op;
        let pairs: Vec<(&Expr, &Expr, bool)> = match condition {
            Expr::Between(x, low, high, false) => vec![(low, x, true), (x, high, true)],
            Expr::Binary(Op::LessOrEqual, x, y) => vec![(x, y, true)],
            Expr::Binary(Op::Less, x, y) => vec![(x, y, false)],
            Expr::Binary(Op::GreaterOrEqual, x, y) => vec![(y, x, true)],
            Expr::Binary(Op::Greater, x, y) => vec![(y, x, false)],
            Expr::Binary(Op::Equal, x, y) => vec![(x, y, true), (y, x, true)],
            _ => return false,
        };
        let joined = names.len() - 1;
        let mut found = Vec::new();
        for (less, more, inclusive) in pairs {
            // less − more ≤ 0, as Σ ± times + rest ≤ 0.
            let mut sum = vec![0i64; names.len()];
            let mut rest = Span::ZERO;
            if !(add(less, 1, names, &mut sum, &mut rest) && add(more, -1, names, &mut sum, &mut rest)) {
                return false;
            }
            let others: Vec<usize> = (0..joined).filter(|i| sum[*i] != 0).collect();
            let ([anchor], sign @ (1 | -1)) = (others.as_slice(), sum[joined]) else {
                return false;
            };
            if sum[*anchor] != -sign || self.anchor.is_some_and(|known| known != *anchor) {
                return false;
            }
            found.push((*anchor, sign, rest, inclusive));
        }
        for (anchor, sign, rest, inclusive) in found {
            self.anchor = Some(anchor);
            let (slot, span) = if sign > 0 {
                (&mut self.upper, -rest)
            } else {
                (&mut self.lower, rest)
            };
            let tighter = match slot {
                None => true,
                Some(old) if old.span == span => !inclusive,
                Some(old) => (span < old.span) == (sign > 0),
            };
            if tighter {
                *slot = Some(Limit {
                    span,
                    inclusive: Some(inclusive),
                });
            }
        }
        true
    }
}

/// Adds `sign · expr` to a sum of times and spans; `false` when it is no such sum.
fn add(expr: &Expr, sign: i64, names: &[(&ArcStr, Option<&ArcStr>)], sum: &mut [i64], rest: &mut Span) -> bool {
    match expr {
        Expr::Span(span) => {
            *rest = if sign > 0 { *rest + *span } else { *rest - *span };
            true
        }
        Expr::Unary(UnaryOp::Minus, x) => add(x, -sign, names, sum, rest),
        Expr::Binary(BinaryOp::Add, x, y) => add(x, sign, names, sum, rest) && add(y, sign, names, sum, rest),
        Expr::Binary(BinaryOp::Subtract, x, y) => add(x, sign, names, sum, rest) && add(y, -sign, names, sum, rest),
        Expr::Call(Function::EventTime, arguments) => match arguments.as_slice() {
            [Expr::Column(path)] if path.len() == 1 => match called(names, &path[0]) {
                Some(index) => {
                    sum[index] += sign;
                    true
                }
                None => false,
            },
            _ => false,
        },
        _ => false,
    }
}

/// The argument of an `event_time` that is no stream of the join.
fn unknown_stream(expr: &Expr, names: &[(&ArcStr, Option<&ArcStr>)]) -> Option<String> {
    if let Expr::Call(Function::EventTime, arguments) = expr {
        return match arguments.as_slice() {
            [] => Some(String::new()),
            [Expr::Column(path)] if path.len() == 1 && called(names, &path[0]).is_some() => None,
            [other, ..] => Some(other.to_string()),
        };
    }
    expr.children()
        .into_iter()
        .find_map(|child| unknown_stream(child, names))
}

/// Whether some `event_time` names a stream.
pub(super) fn names_stream(expr: &Expr) -> bool {
    matches!(expr, Expr::Call(Function::EventTime, arguments) if !arguments.is_empty())
        || expr.children().into_iter().any(names_stream)
}

/// What is wrong with a query with joins as a whole.
pub(super) fn check(query: &Query, start: Place) -> Result<()> {
    let refuse = |message: &str| Err(SyntaxError::at(start, message));
    let aggregate = |item: &SelectItem| matches!(item, SelectItem::Expr { expr, .. } if expr.has_aggregate());
    if !query.group_by.is_empty() || query.having.is_some() || query.select.iter().any(aggregate) {
        return refuse(
            "a join gives pairs, not aggregates; let a second operator that reads it aggregate over its own window",
        );
    }
    if !query.order_by.is_empty() || query.limit.is_some() {
        return refuse("`order by` and `limit` work on the rows of a window's firing, not on a join");
    }
    let streams = query.streams();
    let selected = query.select.iter().filter_map(|item| match item {
        SelectItem::Expr { expr, .. } => Some(expr),
        SelectItem::All => None,
    });
    for expr in selected.chain(&query.filter) {
        fn unknown(expr: &Expr, streams: &[(&ArcStr, Option<&ArcStr>)]) -> Option<String> {
            match expr {
                Expr::Call(Function::EventTime, arguments) if arguments.is_empty() => None,
                Expr::Call(Function::EventTime, _) => unknown_stream(expr, streams),
                other => other.children().into_iter().find_map(|child| unknown(child, streams)),
            }
        }
        if let Some(name) = unknown(expr, &streams) {
            let near = hint(&name, streams.iter().map(|(n, a)| a.unwrap_or(n).as_str()));
            return refuse(&format!(
                "`event_time` takes a stream of the join, and there is no `{name}`{near}"
            ));
        }
    }
    for (i, join) in query.joins.iter().enumerate() {
        if let JoinBound::Version { .. } = join.bound {
            if join.kind.keeps_right() {
                return refuse("a table join answers events of the left side: it is a `join` or a `left join`");
            }
            let later = query.joins.iter().skip(i + 1).any(|later| {
                matches!(&later.bound, JoinBound::Interval { anchor: Anchor::Stream(a), .. }
                    | JoinBound::Version { anchor: Anchor::Stream(a), .. } if *a == i + 1)
            });
            if later {
                return refuse("a version may be as old as you like: measure time from another stream of the join");
            }
        }
    }
    Ok(())
}
