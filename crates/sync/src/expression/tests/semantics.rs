//! What the published pages leave open, as this language settles it.

use super::*;

const AB: Attributes<'_> = &[("mv", &[t("a"), t("b")]), ("one", &[t("x")])];

#[test]
fn nothing_comes_of_nothing_unless_a_function_says_so() {
    for (text, expected) in [
        ("Trim([absent])", "NULL"),
        ("Left([absent], 3)", "\"\""),
        ("Right([absent], 3)", "\"\""),
        ("Mid([absent], 1, 3)", "\"\""),
        ("PadLeft([absent], 3, \"0\")", "\"\""),
        ("Word([absent], 1, \" \")", "\"\""),
        ("InStr([absent], \"a\")", "0"),
        ("InStrRev([absent], \"\")", "0"),
        ("Len([absent])", "0"),
        ("Count([absent])", "0"),
        ("Contains([absent], \"\")", "0"),
        ("Join([absent], \",\")", "NULL"),
        ("ItemOrNull([absent], 1)", "NULL"),
        ("Item([absent], 1)", "error: Item, number: 1 is not from 1 to 0"),
        ("[absent] & \"x\" & [absent]", "\"x\""),
        ("[absent] & [absent]", "NULL"),
        ("[absent] + 1", "NULL"),
        ("[absent] = NULL", "True"),
        ("[absent] <> NULL", "False"),
        ("[absent] = \"\"", "False"),
        ("[absent] < 1 || [absent] >= 1", "False"),
        ("[absent] && True", "False"),
        ("IIF([absent], 1, 2)", "2"),
        ("CBool([absent])", "False"),
        ("IsGuid([absent])", "False"),
        ("IsString([absent])", "False"),
        ("ReplaceChars(\"ab\", \"a:\")", "\"b\""),
    ] {
        check(text, &[], expected);
    }
}

#[test]
fn functions_of_one_value_go_over_several_and_pair_them() {
    check("[mv] & \"-\" & [one]", AB, "\"a-x\"; \"b-x\"");
    check("[mv] & UCase([mv])", AB, "\"aA\"; \"bB\"");
    check("IIF([mv] = \"a\", UCase([mv]), [one])", AB, "\"A\"; \"x\"");
    check("IIF([mv] = \"a\", NULL, [mv]) & \"!\"", AB, "\"!\"; \"b!\"");
    check("IIF([mv] = \"a\", IgnoreThisFlow, [mv])", AB, "IgnoreThisFlow");
    check("IIF([mv] = \"c\", Error(\"no\"), [mv])", AB, "\"a\"; \"b\"");
    let three = "error: &: 2 values do not pair with 3";
    check("[mv] & Split(\"1,2,3\", \",\")", AB, three);
    let several = "error: Switch: there are several values where one is expected";
    check("Switch([mv] = \"a\", 1)", AB, several);
}

#[test]
fn functions_of_all_values_take_them_at_once() {
    check("IsPresent([mv])", AB, "True");
    check("IsNullOrEmpty(Split(\",\", \",\"))", &[], "True");
    check("Contains([mv], \"b\")", AB, "2");
    check("Contains([mv], \"B\", CaseInsensitive)", AB, "2");
    check("Contains(CRef([mv]), \"b\")", &[("mv", &[t("ab"), t("b")])], "2");
    check("Item([mv], 2)", AB, "\"b\"");
    check("ItemOrNull([mv], 3)", AB, "NULL");
    check("Select($x, [mv], Where($y, [mv], $x <> $y))", AB, "\"b\"; \"a\"");
    check("ImportedValue(\"mv\")", AB, "\"a\"; \"b\"");
}

#[test]
fn what_is_not_needed_is_not_evaluated() {
    check("IIF(True, 1, Error(\"no\"))", &[], "1");
    check("Switch(True, 1, CBool(1/0), 2)", &[], "1");
    check("False && CBool(1/0)", &[], "False");
    check("True || CBool(1/0)", &[], "True");
    check("With($x, Error(\"no\"), 1)", &[], "1");
    check("With($x, Error(\"no\"), $x)", &[], "error: no");
    check("1/0", &[], "error: /: division by zero");
}

#[test]
fn variables_are_those_nearest_and_stand_for_their_values() {
    check("With($x, 1, With($x, 2, $x) + $x)", &[], "3");
    check("With($x, [mv], With($y, [one], $x & $y & $x))", AB, "\"axa\"; \"bxb\"");
    check("With($x, NULL, IsNull($x))", &[], "True");
}

#[test]
fn results_can_be_signals() {
    check("AuthoritativeNull", &[], "AuthoritativeNull");
    check("IIF(IsNull([a]), IgnoreThisFlow, [a])", &[], "IgnoreThisFlow");
    check("Switch(False, 1, True, AuthoritativeNull)", &[], "AuthoritativeNull");
    check("With($x, 1, IIF($x = 1, AuthoritativeNull, $x))", &[], "AuthoritativeNull");
}

#[test]
fn texts_are_cut_at_characters_and_cased_one_by_one() {
    for (text, expected) in [
        ("Left(\"Zoë😀\", 4)", "\"Zoë😀\""),
        ("Len(\"Zoë😀\")", "4"),
        ("Right(\"ëa\", 2)", "\"ëa\""),
        ("Mid(\"Zoë😀x\", 4, 1)", "\"😀\""),
        ("Left(\"abc\", -1)", "\"abc\""),
        ("Left(\"abc\", 0)", "\"\""),
        ("Right(\"abc\", -1)", "\"abc\""),
        ("Mid(\"abc\", 0, 1)", "\"abc\""),
        ("Mid(\"abc\", 4, 1)", "\"abc\""),
        ("Mid(\"abc\", 2, -1)", "\"abc\""),
        ("Mid(\"abc\", 9, 0)", "\"\""),
        ("UCase(\"straße\")", "\"STRAßE\""),
        ("LCase(\"ΣΑΣ\")", "\"σασ\""),
        ("PCase(\"o'neil van DYKE\")", "\"O'neil Van Dyke\""),
        ("InStr(\"ABC\", \"bc\", 1, vbTextCompare)", "2"),
        ("InStr(\"abcabc\", \"c\", 4)", "6"),
        ("InStrRev(\"abcabc\", \"c\", 5)", "3"),
        ("PadLeft(\"ë\", 3, \"😀\")", "\"😀😀ë\""),
        ("Word(\"a,,b\", 2, \",\")", "\"b\""),
        ("Word(\"a\", 0, \",\")", "\"\""),
        ("\"say \"\"hi\"\" \\\\ \\n\"", "\"say \"hi\" \\ \\n\""),
        ("CRLF", "\"\\r\\n\""),
        ("1-2-3", "-4"),
        ("7/2*2", "6"),
        ("-(2)+5", "3"),
        ("\"a\"&HFF", "HFF means nothing here"),
    ] {
        let found = evaluated(text, &[]);
        assert_eq!(found.lines().next().unwrap_or(""), expected, "{text}");
    }
}

#[test]
fn times_are_read_in_many_forms_and_written_as_net_does() {
    for (text, expected) in [
        ("2013-01-10", "2013-01-10T00:00:00Z"),
        ("2013/1/9 7:05", "2013-01-09T07:05:00Z"),
        ("1/10/2013 12:00 AM", "2013-01-10T00:00:00Z"),
        ("1/10/2013 12:30PM +05:30", "2013-01-10T07:00:00Z"),
        ("2013-01-10 4 pm", "2013-01-10T16:00:00Z"),
        ("20140905081453.0Z", "2014-09-05T08:14:53Z"),
        ("20140905", "2014-09-05T00:00:00Z"),
        ("20140905081453.5-0800", "2014-09-05T16:14:53.5Z"),
        ("January 10, 2013", "2013-01-10T00:00:00Z"),
        ("Thu, 10 Jan 2013 23:00:00 GMT", "2013-01-10T23:00:00Z"),
    ] {
        check(&format!("CDate(\"{text}\")"), &[], &format!("\"{expected}\""));
        check(&format!("IsDate(\"{text}\")"), &[], "True");
    }
    for text in [
        "",
        "x",
        "2013-13-01",
        "2013-02-29",
        "13/1/2013",
        "2013-01-10 25:00",
        "2013-01-10 13:00 PM",
        "2013-01-10x",
        "2013-01-10 +99",
        "0000-01-01",
        "9999-12-31 23:00 -8",
        "1/1/13",
        "2013-1/1",
    ] {
        check(&format!("IsDate(\"{text}\")"), &[], "False");
    }
    for (format, expected) in [
        ("d/M/yy H:m:s", "\"5/9/14 8:4:3\""),
        ("ddd dd MMM", "\"Fri 05 Sep\""),
        ("dddd, d MMMM yyyy", "\"Friday, 5 September 2014\""),
        ("hh:mm tt 'at' zzz", "\"08:04 AM at +00:00\""),
        ("ss.fff FFFF", "\"03.250 25\""),
        ("%d", "\"5\""),
        ("d", "\"09/05/2014\""),
        ("s", "\"2014-09-05T08:04:03\""),
        ("o", "\"2014-09-05T08:04:03.2500000Z\""),
        ("R", "\"Fri, 05 Sep 2014 08:04:03 GMT\""),
        ("yyyy\\y", "\"2014y\""),
        ("'open", "error: FormatDateTime, format: \"'open\" is no format of times"),
    ] {
        let text = format!("FormatDateTime(CDate(\"2014-09-05 8:04:03.25\"), \"{format}\")");
        check(&text, &[], expected);
    }
}

#[test]
fn values_of_the_wrong_type_are_errors_with_their_place() {
    let text = t("x");
    for (expression, expected) in [
        ("[a] + 1", "error: +: the value is a text, not a number"),
        ("Left(\"abc\", [a])", "error: Left, count: the value is a text, not a number"),
        ("StringFromSid([a])", "error: StringFromSid, sid: the value is a text, not octets"),
        ("[a] = 1", "error: =: the value is a number, not a text"),
        ("CNum([a])", "error: CNum, text: \"x\" is no whole number"),
        ("CGuid([a])", "error: CGuid, guid: \"x\" is no GUID"),
        ("%No.Such%", "error: the parameter: there is no parameter %no.such%"),
        ("DNComponent([a], 1)", "error: DNComponent, name: \"x\" is no distinguished name"),
        ("PadLeft([a], 3, \"00\")", "error: PadLeft, character: \"00\" is no single character"),
        (
            "ReplaceChars([a], \"ab:c\")",
            "error: ReplaceChars, pattern: \"ab:c\" is no list of pairs such as ä:a,ö:o",
        ),
        (
            "DateAdd(\"k\", 1, Now())",
            "error: DateAdd, interval: \"k\" is no interval (yyyy, q, m, y, d, w, ww, h, n or s)",
        ),
        ("DateAdd(\"yyyy\", 9000, Now())", "error: DateAdd: the result is out of range"),
        ("RandomNum(2, 1)", "error: RandomNum, end: 1 is not from 2 to 9223372036854775807"),
        ("9223372036854775807 + 1", "error: +: the result is out of range"),
        ("Split([a], \"\")", "error: Split, delimiter: \"\" is no single character"),
        ("Switch([a] = \"x\", [a], Error(\"no\"), 1)", "\"x\""),
    ] {
        check(expression, &[("a", &[text])], expected);
    }
}

#[test]
fn errors_say_what_to_do() {
    for (expression, expected) in [
        ("Left(\"abc\", [a])", "CNum makes a number of a text"),
        ("CDate([a])", "IsDate says beforehand whether a text is a time"),
        ("CNum([a])", "IsNumeric says beforehand whether a text is a number"),
        ("CGuid([a])", "IsGuid says beforehand whether a text is a GUID"),
        ("Item([a], 2)", "ItemOrNull gives NULL instead"),
        (
            "Split([b], \",\") & [a] & Split([b], \",\", 2)",
            "Select goes over the values of one of them",
        ),
        ("CertSubject([a])", "IsCert says beforehand whether octets are a certificate"),
        ("Error([a])", ""),
    ] {
        assert_eq!(
            hint(expression, &[("a", &[t("x")]), ("b", &[t("1,2,3")])]),
            expected,
            "{expression}"
        );
    }
}

#[test]
fn limits_end_what_would_grow_without_end() {
    let large = "x".repeat(RESULT_OCTETS_MAX);
    let attributes: Attributes<'_> = &[("large", &[t(&large)])];
    check("Len([large])", attributes, "262144");
    let error = "error: &: the result has more than 262144 octets";
    check("[large] & \"x\"", attributes, error);
    let error = "error: Replace: the result has more than 262144 octets";
    check("Replace([large], \"x\", \"yy\")", attributes, error);
    let error = "error: PadLeft: the result has more than 262144 octets";
    check("PadLeft(\"x\", 9223372036854775807, \"y\")", attributes, error);
    let error = "error: Split: there are more than 16384 values";
    check("Split([large], \"x\")", attributes, error);
    let many = ",".repeat(16_000);
    let attributes: Attributes<'_> = &[("many", &[t(&many)])];
    let nested = "Count(Select($a, Split([many], \",\"), Count(Split([many], \",\"))))";
    let found = evaluated(nested, attributes);
    assert!(found.contains("more than 1000000 steps"), "{found}");
}

#[test]
fn what_is_read_is_told() {
    let mut dictionary = Dictionary::default();
    let text = "[b] & [a] & [B] & ImportedValue(\"c\") & %Forest.FQDN% & %forest.fqdn%";
    let expression = Expression::compile(text, &mut dictionary).unwrap();
    let id = |name| dictionary.id(name).unwrap();
    assert_eq!(expression.attributes(), [id("b"), id("a")]);
    assert_eq!(expression.imported_attributes(), [id("c")]);
    assert_eq!(expression.parameters(), ["forest.fqdn"]);
    assert_eq!(expression.kinds(), Kinds::TEXT);
}

#[test]
fn the_page_has_every_function_and_no_example_fails_but_those_that_show_it() {
    let page = page();
    let functions = functions::all().count();
    assert_eq!(page.matches("\n### ").count(), functions);
    assert_eq!(functions, 86);
    let failing: Vec<&str> = page.lines().filter(|line| line.contains(": `error: ")).collect();
    assert_eq!(
        failing,
        [
            "- `Item([proxyAddresses], 4)`: `error: Item, number: 4 is not from 1 to 3`",
            "- `IIF(IsPresent([absent]), [absent], Error(\"An account needs a name\"))`: `error: An account needs a name`",
        ]
    );
}
