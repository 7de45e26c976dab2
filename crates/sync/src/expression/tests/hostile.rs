//! Random words: no text makes the compiler or the evaluation panic.

use proptest::prelude::*;

use super::*;

/// Words of which texts are made that often are expressions.
fn words() -> impl Strategy<Value = String> {
    let names: Vec<&str> = functions::all().map(|function| function.name).collect();
    prop_oneof![
        3 => proptest::sample::select(names).prop_map(|name| format!("{name}(")),
        3 => proptest::sample::select(vec![
            "(", ")", ")", ")", ",", ",", ",", "&", "+", "-", "*", "/", "=", "<>", "<", ">=", "&&", "||",
        ])
        .prop_map(str::to_owned),
        4 => proptest::sample::select(vec![
            "[text]", "[many]", "[number]", "[octets]", "[absent]", "%Forest.LDAP%", "$x", "$y", "0",
            "1", "-1", "9223372036854775807", "&HFF", "True", "NULL", "IgnoreThisFlow", "\"\"", "\"é\"",
            "\"yyyy\"", "vbTextCompare", "CRLF", "UTF8",
        ])
        .prop_map(str::to_owned),
        1 => ".{0,3}",
    ]
}

const OBJECT: Attributes<'_> = &[
    ("text", &[t("CN=Zoë,DC=x")]),
    ("many", &[t("a"), t("é"), n(5), ValueRef::Boolean(true)]),
    ("number", &[n(-1)]),
    ("octets", &[ValueRef::Octets(&[1, 1, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0])]),
];

/// A function with arguments that fit in number, some of them functions.
fn calls() -> impl Strategy<Value = String> {
    let leaf = proptest::sample::select(vec![
        "[text]",
        "[many]",
        "[number]",
        "[octets]",
        "[absent]",
        "$x",
        "0",
        "3",
        "-1",
        "True",
        "\"a\"",
        "\"2013-01-10\"",
        "NULL",
        "Now()",
        "9223372036854775807",
    ])
    .prop_map(str::to_owned);
    leaf.prop_recursive(4, 40, 4, |inner| {
        let functions: Vec<_> = functions::all().collect();
        let arguments = proptest::collection::vec(inner, 4);
        (proptest::sample::select(functions), arguments, 0_usize..3).prop_map(
            |(function, arguments, fewer)| {
                let most = function.parameters.len().max(1);
                let count = most - fewer.min(function.optional);
                let mut given: Vec<String> = arguments.into_iter().take(count).collect();
                if function.parameters.first().is_some_and(|first| first.word == "variable") {
                    given[0] = "$x".to_owned();
                }
                if function.parameters.is_empty() {
                    given.clear();
                }
                format!("{}({})", function.name, given.join(","))
            },
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn words_in_any_order_come_to_a_value_or_an_error(words in proptest::collection::vec(words(), 0..30)) {
        let _ = evaluated(&words.concat(), OBJECT);
        let _ = evaluated(&words.join(" "), OBJECT);
    }

    #[test]
    fn calls_with_any_arguments_come_to_a_value_or_an_error(call in calls()) {
        let _ = evaluated(&call, OBJECT);
        let _ = evaluated(&format!("With($x, [many], {call})"), OBJECT);
    }

    #[test]
    fn folding_constants_changes_nothing(call in calls()) {
        // The same numbers and texts, once as constants and once as attributes.
        let constant = call.replace("[text]", "\"CN=Zoë,DC=x\"").replace("[number]", "-1");
        let constant = format!("With($x, \"q\", {constant})");
        let call = format!("With($x, \"q\", {call})");
        let mut names = Dictionary::default();
        if Expression::compile(&constant, &mut names).is_ok() {
            let (folded, read) = (evaluated(&constant, OBJECT), evaluated(&call, OBJECT));
            prop_assert_eq!(folded, read, "{}", call);
        }
    }
}

#[test]
fn the_deepest_texts_fit_on_the_stack_of_a_thread() {
    for unit in ["-", "(", "Trim(", "IIF(True,1,", "With($x,1,", "Select($x,[many],", "1+("] {
        let mut text = unit.repeat(DEPTH_MAX - 1);
        text.push_str("[text]");
        text.push_str(&")".repeat(unit.matches('(').count() * (DEPTH_MAX - 1)));
        let _ = evaluated(&text, OBJECT);
    }
}
