//! Texts that are no expressions, and what is said of them.

use super::*;

/// Texts, and what is said of each.
const MISTAKES: &[(&str, &str)] = &[
    (
        "Trim([cn]",
        "a comma, an operator or ) expected, the end found
  Trim([cn]
           ^",
    ),
    (
        "1 +",
        "a value expected, the end found
  1 +
     ^",
    ),
    (
        "1 2",
        "an operator or the end expected, the number 2 found
  1 2
    ^",
    ),
    (
        "Trm([cn])",
        "there is no function Trm
  Trm([cn])
  ^^^
  hint: is it Trim?",
    ),
    (
        "Random(1, 2)",
        "there is no function Random
  Random(1, 2)
  ^^^^^^
  hint: is it RandomNum?",
    ),
    (
        "Xyzzy(1)",
        "there is no function Xyzzy
  Xyzzy(1)
  ^^^^^",
    ),
    (
        "Left(\"Zoë\")",
        "Left takes 2 arguments, not 1
  Left(\"Zoë\")
  ^^^^^^^^^^^",
    ),
    (
        "Switch(True)",
        "Switch takes pairs of a condition and a value, not 1
  Switch(True)
  ^^^^^^^^^^^^",
    ),
    (
        "Now(1)",
        "Now takes no arguments, not 1
  Now(1)
  ^^^^^^",
    ),
    (
        "Mid(\"a\")",
        "Mid takes 2 to 3 arguments, not 1
  Mid(\"a\")
  ^^^^^^^^",
    ),
    (
        "\"é\" & Left([cn], \"3\")",
        "count of Left is a number, not a text
  \"é\" & Left([cn], \"3\")
                   ^^^
  hint: CNum makes a number of a text",
    ),
    (
        "\"a\" + [b]",
        "what stands left of + is a number, not a text
  \"a\" + [b]
  ^^^
  hint: & joins texts, + adds numbers",
    ),
    (
        "Now() = \"2013-01-10\"",
        "what stands right of = is a time, not a text
  Now() = \"2013-01-10\"
          ^^^^^^^^^^^^
  hint: CDate makes a time of a text",
    ),
    (
        "FormatDateTime([a], \"s\")",
        "time of FormatDateTime is a time, not a text, a number, a truth value or octets
  FormatDateTime([a], \"s\")
                 ^^^
  hint: CDate makes a time of a text",
    ),
    (
        "IIF(\"x\", 1, 2)",
        "condition of IIF is a truth value, not a text
  IIF(\"x\", 1, 2)
      ^^^",
    ),
    (
        "Trim(IgnoreThisFlow)",
        "IgnoreThisFlow can only be the result, not a part of it
  Trim(IgnoreThisFlow)
       ^^^^^^^^^^^^^^
  hint: it may stand alone, or as a value of IIF, Switch or With",
    ),
    (
        "$x",
        "the variable $x has no value here
  $x
  ^^
  hint: With, Select and Where name variables",
    ),
    (
        "Select([a], [b], 1)",
        "a variable, such as $item, expected, something else found
  Select([a], [b], 1)
         ^^^",
    ),
    (
        "InStr(\"a\", \"b\", 1, vbTxt)",
        "vbTxt means nothing here
  InStr(\"a\", \"b\", 1, vbTxt)
                     ^^^^^
  hint: compare is one of vbBinaryCompare, vbTextCompare",
    ),
    (
        "Now",
        "Now means nothing here
  Now
  ^^^
  hint: Now is a function: it takes parentheses",
    ),
    (
        "ImportedValue([a])",
        "the name of an attribute in quotes expected, something else found
  ImportedValue([a])
                ^^^",
    ),
    (
        "“Zoë”",
        "'“' begins nothing in an expression
  “Zoë”
  ^
  hint: texts stand in straight quotes",
    ),
    (
        "\"open",
        "the text is not closed: \" is missing
  \"open
  ^",
    ),
    (
        "[cn",
        "an attribute is not closed: ] is missing
  [cn
  ^",
    ),
    (
        "[a b]",
        "\"a b\" is no attribute name
  [a b]
  ^^^^^",
    ),
    (
        "1.5",
        "\"1.5\" is no whole number of 64 bits
  1.5
  ^^^",
    ),
    (
        "IIF(True,\n  Trm(1),\n  2)",
        "there is no function Trm
    Trm(1),
    ^^^
  hint: is it Trim?",
    ),
];

#[test]
fn a_mistake_is_shown_with_a_caret_under_its_place_and_what_to_do() {
    for (text, expected) in MISTAKES {
        assert_eq!(evaluated(text, &[]), *expected, "{text}");
    }
}

#[test]
fn a_place_has_a_line_and_a_column() {
    let text = "IIF(True,\n  \"ë\" & Trm(1),\n  2)";
    let error = Expression::compile(text, &mut Dictionary::default()).unwrap_err();
    assert_eq!((error.offset, error.length), (text.find("Trm").unwrap(), 3));
    assert_eq!(error.position(text), (2, 9));
}

#[test]
fn what_is_too_long_too_deep_or_too_many_is_refused() {
    let refused = |text: &str, expected: Mistake| {
        let error = Expression::compile(text, &mut Dictionary::default()).unwrap_err();
        assert_eq!(error.mistake, expected);
        assert!(error.show(text).to_string().len() < 1_000);
    };
    refused(&"1".repeat(TEXT_OCTETS_MAX + 1), Mistake::TooLong);
    refused(&"(".repeat(DEPTH_MAX + 1), Mistake::TooDeep);
    refused(&"-".repeat(DEPTH_MAX + 1), Mistake::TooDeep);
    refused(&"1+".repeat(PARTS_MAX + 1), Mistake::TooManyParts);
    let deepest = format!("{}1{}", "(".repeat(DEPTH_MAX - 1), ")".repeat(DEPTH_MAX - 1));
    check(&deepest, &[], "1");
    let longest = format!("0{}", "+1".repeat(PARTS_MAX - 1));
    check(&longest, &[], &(PARTS_MAX - 1).to_string());
}
