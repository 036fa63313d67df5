//! The functions that a query may call: one table, which the parser, the printer and the documentation read.

use super::{AggregateFunction, Function};

/// A function of single values: its names (the first is the one that is printed), and how many arguments it takes.
pub struct FunctionDescriptor {
    /// Its names, the usual one first.
    pub names: &'static [&'static str],
    /// Which it is.
    pub function: Function,
    /// How many arguments it takes: from, to.
    pub arguments: (usize, usize),
    /// What it gives.
    pub summary: &'static str,
}

macro_rules! functions {
    ($([$($name:literal),+] $function:ident $from:literal..=$to:literal $summary:literal;)*) => {
        /// Every function of single values.
        pub static FUNCTIONS: &[FunctionDescriptor] = &[$(FunctionDescriptor {
            names: &[$($name),+],
            function: Function::$function,
            arguments: ($from, $to),
            summary: $summary,
        }),*];
    };
}

functions! {
    ["abs"] Abs 1..=1 "the magnitude of a number";
    ["round"] Round 1..=2 "the nearest whole number, or that many digits; ties away from zero";
    ["floor"] Floor 1..=1 "the largest whole number at or below";
    ["ceil", "ceiling"] Ceil 1..=1 "the smallest whole number at or above";
    ["sqrt"] Sqrt 1..=1 "the square root";
    ["ln"] Ln 1..=1 "the natural logarithm";
    ["exp"] Exp 1..=1 "the exponential";
    ["power", "pow"] Power 2..=2 "the first to the power of the second";
    ["least"] Least 1..=64 "the smallest argument that is not null";
    ["greatest"] Greatest 1..=64 "the largest argument that is not null";
    ["coalesce"] Coalesce 1..=64 "the first argument that is not null";
    ["nullif"] NullIf 2..=2 "null when both are equal, else the first";
    ["lower"] Lower 1..=1 "text in small letters";
    ["upper"] Upper 1..=1 "text in capitals";
    ["trim"] Trim 1..=1 "text without blanks at its ends";
    ["length", "char_length", "character_length"] Length 1..=1 "the number of characters";
    ["substring", "substr"] Substring 2..=3 "from that character (counted from 1), at most that many";
    ["replace"] Replace 3..=3 "every occurrence of the second put as the third";
    ["event_time"] EventTime 0..=1 "the event's stamp; in a join that of the named stream's event";
    ["window_start"] WindowStart 0..=0 "the start of the window";
    ["window_end"] WindowEnd 0..=0 "the end of the window (exclusive)";
    ["nth"] Nth 2..=2 "in a sequence: of the n-th event that a step took, from 0";
    ["prev"] Prev 1..=2 "in a sequence: of the event before the last one that a step took, or the n-th before";
}

/// An aggregate function as a query names it.
pub struct AggregateDescriptor {
    /// Its names, the usual one first.
    pub names: &'static [&'static str],
    /// What its first argument, a constant, means; `None` when its only argument is what it aggregates.
    pub parameter: Option<&'static str>,
    /// What it gives.
    pub summary: &'static str,
}

macro_rules! aggregates {
    ($([$($name:literal),+] $parameter:expr, $summary:literal;)*) => {
        /// Every aggregate function.
        pub static AGGREGATES: &[AggregateDescriptor] = &[$(AggregateDescriptor {
            names: &[$($name),+],
            parameter: $parameter,
            summary: $summary,
        }),*];
    };
}

const COUNT: Option<&str> = Some("how many, a whole number from 1");
const SHARE: Option<&str> = Some("the share, from 0 to 1");

aggregates! {
    ["count"] None, "how many are not null; `count(*)` all; `count(distinct x)` how many different";
    ["sum"] None, "the sum: whole for whole numbers, else exact and rounded once";
    ["min"] None, "the smallest";
    ["max"] None, "the largest";
    ["avg", "mean"] None, "the mean, rounded once";
    ["stddev_pop"] None, "the standard deviation of a whole population";
    ["stddev", "stddev_samp"] None, "the standard deviation of a sample; null for fewer than two";
    ["var_pop"] None, "the variance of a whole population";
    ["variance", "var_samp"] None, "the variance of a sample; null for fewer than two";
    ["first", "first_value"] None, "of the earliest event";
    ["last", "last_value"] None, "of the latest event";
    ["top"] COUNT, "the k largest values as a list, descending";
    ["median"] None, "the exact median; keeps every value of the window";
    ["quantile"] SHARE, "an exact quantile; keeps every value of the window";
    ["approx_quantile"] SHARE, "a quantile by DDSketch, relative value error 0.01";
    ["approx_count_distinct"] None, "how many different, by HyperLogLog, relative standard error 1.63 %";
    ["heavy_hitters"] COUNT, "the values that may make up more than 1/(k+1) of all, by Misra and Gries";
    ["collect"] None, "all values as a list, in order of event time";
}

/// The function of that name, in any case.
pub(super) fn function(name: &str) -> Option<&'static FunctionDescriptor> {
    FUNCTIONS
        .iter()
        .find(|f| f.names.iter().any(|n| n.eq_ignore_ascii_case(name)))
}

/// The aggregate of that name, in any case.
pub(super) fn aggregate(name: &str) -> Option<&'static AggregateDescriptor> {
    AGGREGATES
        .iter()
        .find(|f| f.names.iter().any(|n| n.eq_ignore_ascii_case(name)))
}

/// Every name that can be called.
pub(super) fn all_names() -> impl Iterator<Item = &'static str> {
    let aggregates = AGGREGATES.iter().flat_map(|a| a.names.iter().copied());
    FUNCTIONS.iter().flat_map(|f| f.names.iter().copied()).chain(aggregates)
}

/// The usual name of a function of single values.
pub(super) fn name_of(function: Function) -> &'static str {
    FUNCTIONS
        .iter()
        .find(|f| f.function == function)
        .map_or("?", |f| f.names[0])
}

impl AggregateFunction {
    /// Its usual name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Sum => "sum",
            Self::Min => "min",
            Self::Max => "max",
            Self::Avg => "avg",
            Self::StddevPop => "stddev_pop",
            Self::StddevSamp => "stddev",
            Self::VarPop => "var_pop",
            Self::VarSamp => "variance",
            Self::First => "first",
            Self::Last => "last",
            Self::Top(_) => "top",
            Self::Median => "median",
            Self::Quantile(_) => "quantile",
            Self::ApproxQuantile(_) => "approx_quantile",
            Self::ApproxCountDistinct => "approx_count_distinct",
            Self::HeavyHitters(_) => "heavy_hitters",
            Self::Collect => "collect",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_that_can_be_called_means_one_function() {
        let mut names: Vec<&str> = all_names().collect();
        names.sort_unstable();
        let before = names.len();
        names.dedup();
        assert_eq!(names.len(), before);
    }
}
