use proptest::prelude::*;
use wavetank_scenarios::query::parse_expr;
use wavetank_scenarios::{FieldType, Schema, Time, Value};

use super::{Compiled, Fields, Scope, compare, order};

fn schema() -> Schema {
    Schema::new([
        ("i", FieldType::Int),
        ("f", FieldType::Float),
        ("t", FieldType::Text),
        ("n", FieldType::Any),
        ("at", FieldType::Time),
        ("rec", FieldType::Record),
    ])
}

fn row() -> Vec<Value> {
    vec![
        Value::Int(7),
        Value::Float(2.5),
        Value::from("Hello_World"),
        Value::Null,
        Value::Time(Time::from_micros(1_000_000)),
        Value::Record(vec![("a".into(), Value::Record(vec![("b".into(), Value::Int(3))].into()))].into()),
    ]
}

fn compiled(text: &str) -> Result<Compiled, String> {
    let schema = schema();
    let fields = Fields {
        schema: &schema,
        inputs: &["s"],
    };
    Compiled::new(&parse_expr(text).map_err(|e| e.to_string())?, fields)
}

fn value(text: &str) -> Result<Value, String> {
    let compiled = compiled(text).unwrap_or_else(|e| panic!("{text}: {e}"));
    let row = row();
    let scope = Scope::event(&row, Time::from_micros(42));
    compiled.eval(&scope).map(std::borrow::Cow::into_owned)
}

fn check(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        let said = match value(text) {
            Ok(value) => format!("{value}"),
            Err(problem) => format!("! {problem}"),
        };
        assert_eq!(said, *expected, "{text}");
    }
}

#[test]
fn logic_has_three_values() {
    check(&[
        ("n = 1", "null"),
        ("n = 1 and 1 = 2", "false"),
        ("n = 1 or 1 = 1", "true"),
        ("n = 1 and 1 = 1", "null"),
        ("not (n = 1)", "null"),
        ("n is null", "true"),
        ("i in (1, 7, n)", "true"),
        ("i in (1, n)", "null"),
        ("i not in (1, n)", "null"),
        ("i not in (1, 2)", "true"),
        ("i between 1 and n", "null"),
        ("i between 8 and n", "false"),
        ("i not between 8 and 9", "true"),
    ]);
}

#[test]
fn whole_numbers_and_floats_mix() {
    check(&[
        ("i + f", "9.5"),
        ("i / 2", "3"),
        ("-i / 2", "-3"),
        ("i % 4", "3"),
        ("i / 2.0", "3.5"),
        ("i = 7.0", "true"),
        ("f < i", "true"),
        ("i * 2 - 1", "13"),
    ]);
}

#[test]
fn overflow_and_division_by_zero_are_errors() {
    check(&[
        (
            "9223372036854775807 + 1",
            "! 9223372036854775807 + 1 does not fit 64 bits",
        ),
        ("i / 0", "! 7 / 0: division by zero"),
        ("i % 0", "! 7 % 0: division by zero"),
        ("f / 0.0", "! 2.5 / 0.0: division by zero"),
        ("t > 3", "! text `Hello_World` cannot be compared with int `3`"),
        ("t + 1", "! text `Hello_World` + int `1` cannot be computed"),
        ("sqrt(-1.0)", "! sqrt of -1, which is negative"),
        ("cast(t as int)", "! text `Hello_World` cannot be cast to int"),
    ]);
}

#[test]
fn what_logic_need_not_look_at_cannot_fail() {
    check(&[("1 = 2 and i / 0 = 1", "false"), ("1 = 1 or i / 0 = 1", "true")]);
}

#[test]
fn like_knows_its_two_signs() {
    check(&[
        ("t like 'Hello%'", "true"),
        ("t like '%o_W%d'", "true"),
        ("t like 'hello%'", "false"),
        ("t like '_ello\\_World'", "true"),
        ("t like 'Hello'", "false"),
        ("t not like '%xyz%'", "true"),
        ("n like '%'", "null"),
    ]);
}

#[test]
fn functions_compute() {
    check(&[
        ("abs(-3)", "3"),
        ("round(2.5)", "3.0"),
        ("round(-2.5)", "-3.0"),
        ("round(1.255, 1)", "1.3"),
        ("floor(-1.5)", "-2.0"),
        ("coalesce(n, i)", "7"),
        ("nullif(i, 7)", "null"),
        ("least(3, n, 1)", "1"),
        ("greatest(3, 1)", "3"),
        ("upper(t)", "HELLO_WORLD"),
        ("length(t)", "11"),
        ("substring(t, 2, 3)", "ell"),
        ("substring(t, 0, 3)", "He"),
        ("replace(t, '_', ' ')", "Hello World"),
        ("t || i", "Hello_World7"),
        ("case when i > 5 then 'big' else 'small' end", "big"),
        ("case when i > 50 then 'big' end", "null"),
        ("event_time()", "1970-01-01T00:00:00.000042Z"),
        ("cast('12' as int) + 1", "13"),
        ("cast(2.9 as int)", "2"),
        ("rec.a.b", "3"),
        ("s.i", "7"),
        ("rec.a.zzz", "null"),
    ]);
}

#[test]
fn spans_are_microseconds() {
    check(&[
        ("at + interval '1' second", "1970-01-01T00:00:02Z"),
        ("at - at", "0"),
        ("at > event_time()", "true"),
    ]);
}

#[test]
fn an_unknown_field_is_named_with_the_nearest_one() {
    assert_eq!(
        compiled("amuont > 1").unwrap_err(),
        "there is no field `amuont`; there are `i`, `f`, `t`, `n`, `at`, `rec`"
    );
    assert!(compiled("recc.a > 1").unwrap_err().contains("did you mean `rec`?"));
}

proptest! {
    #[test]
    fn the_total_order_agrees_with_comparison(a in any::<f64>(), b in any::<i64>(), c in any::<f64>()) {
        for (x, y) in [(Value::Float(a), Value::Int(b)), (Value::Float(a), Value::Float(c)), (Value::Int(b), Value::Float(b as f64))] {
            let compared = compare(&x, &y).unwrap().unwrap();
            prop_assert!(compared.is_eq() || compared == order(&x, &y));
            prop_assert_eq!(compare(&y, &x).unwrap().unwrap(), compared.reverse());
            prop_assert_eq!(order(&y, &x), order(&x, &y).reverse());
        }
    }
}
