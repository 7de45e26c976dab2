//! Functions held against naive definitions.

use portolan_model::DistinguishedName;
use proptest::prelude::*;
use time::Duration;

use super::*;

fn one(expression: &str, text: &str) -> String {
    evaluated(expression, &[("a", &[t(text)])])
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\r', "\\r").replace('\n', "\\n"))
}

fn moments() -> impl Strategy<Value = OffsetDateTime> {
    // From 1601, where the directory's numbers begin, to 9999.
    (-11_644_473_600_i64..253_402_300_799)
        .prop_map(|seconds| OffsetDateTime::from_unix_timestamp(seconds).unwrap())
}

proptest! {
    #[test]
    fn left_right_and_mid_are_slices_of_the_characters(text in ".{0,12}", start in -2_i64..15, count in -2_i64..15) {
        let characters: Vec<char> = text.chars().collect();
        let slice = |from: usize, to: usize| {
            let to = to.min(characters.len());
            quoted(&characters[from.min(to)..to].iter().collect::<String>())
        };
        let length = characters.len();
        let wanted = usize::try_from(count).unwrap_or(length);
        prop_assert_eq!(one(&format!("Left([a], {count})"), &text), slice(0, wanted));
        let right = one(&format!("Right([a], {count})"), &text);
        prop_assert_eq!(right, slice(length.saturating_sub(wanted), length));
        let expected = match usize::try_from(start - 1) {
            _ if count == 0 => slice(0, 0),
            Ok(before) if before < length && count > 0 => slice(before, before + wanted),
            _ => slice(0, length),
        };
        prop_assert_eq!(one(&format!("Mid([a], {start}, {count})"), &text), expected);
    }

    #[test]
    fn a_sought_text_is_where_it_is_said_to_be(text in "[abé]{0,12}", sought in "[abé]{1,3}", start in 1_usize..14) {
        let characters: Vec<char> = text.chars().collect();
        let wanted: Vec<char> = sought.chars().collect();
        let places: Vec<usize> = (0..characters.len())
            .filter(|at| characters[*at..].starts_with(&wanted))
            .map(|at| at + 1)
            .collect();
        let first = places.iter().find(|place| **place >= start).unwrap_or(&0);
        let call = |name| one(&format!("{name}([a], \"{sought}\", {start})"), &text);
        prop_assert_eq!(call("InStr"), first.to_string());
        let last = places.iter().rfind(|place| **place + wanted.len() - 1 <= start).unwrap_or(&0);
        prop_assert_eq!(call("InStrRev"), last.to_string());
    }

    #[test]
    fn joining_undoes_splitting(text in "[ab,é]{0,20}") {
        prop_assert_eq!(one("Join(Split([a], \",\"), \",\")", &text), quoted(&text));
        let count = text.split(',').count();
        prop_assert_eq!(one("Count(Split([a], \",\"))", &text), count.to_string());
    }

    #[test]
    fn splitting_with_a_limit_keeps_the_rest_together(text in "[ab,]{0,20}", limit in 1_usize..5) {
        let expected: Vec<_> = text.splitn(limit, ',').map(quoted).collect();
        prop_assert_eq!(one(&format!("Split([a], \",\", {limit})"), &text), expected.join("; "));
        let of_made = one(&format!("Split([a] & \"\", \",\", {limit})"), &text);
        prop_assert_eq!(of_made, expected.join("; "));
    }

    #[test]
    fn components_are_those_of_the_distinguished_name(
        values in proptest::collection::vec("[a-zé ,+=#]{1,8}", 1..5),
        number in 1_usize..7,
    ) {
        let escaped: Vec<String> = values
            .iter()
            .map(|value| {
                let shown = one("EscapeDNComponent(\"cn=\" & [a])", value);
                shown.trim_matches('"').to_owned()
            })
            .collect();
        let name = escaped.join(",");
        let parsed: DistinguishedName = name.parse().unwrap();
        prop_assert_eq!(parsed.rdns().count(), values.len());
        let rdns: Vec<&str> = parsed.rdns().collect();
        let shown = |rdn: Option<&&str>| {
            rdn.map_or("NULL".to_owned(), |rdn| quoted(rdn.split_once('=').unwrap().1))
        };
        let from_left = one(&format!("DNComponent([a], {number})"), &name);
        prop_assert_eq!(from_left, shown(rdns.get(number - 1)));
        let from_right = one(&format!("DNComponentRev([a], {number})"), &name);
        prop_assert_eq!(from_right, shown(rdns.iter().rev().nth(number - 1)));
    }

    #[test]
    fn times_go_through_texts_and_numbers_unchanged(at in moments()) {
        let format = time::macros::format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
        let text = at.format(&format).unwrap();
        let again = "FormatDateTime(CDate([a]), \"yyyy-MM-dd HH:mm:ss\")";
        prop_assert_eq!(one(again, &text), quoted(&text));
        let by_number = "FormatDateTime(DateFromNum(NumFromDate(CDate([a]))), \"yyyy-MM-dd HH:mm:ss\")";
        prop_assert_eq!(one(by_number, &text), quoted(&text));
        let twelve = time::macros::format_description!("[month padding:none]/[day padding:none]/[year] [hour repr:12 padding:none]:[minute]:[second] [period]");
        let text = at.format(&twelve).unwrap();
        let again = "FormatDateTime(CDate([a]), \"M/d/yyyy h:mm:ss tt\")";
        prop_assert_eq!(one(again, &text), quoted(&text));
    }

    #[test]
    fn adding_to_times_is_what_a_calendar_says(at in moments(), count in -2_000_i64..2_000) {
        let format = &time::format_description::well_known::Rfc3339;
        let text = at.format(format).unwrap();
        for (interval, seconds) in [("s", 1), ("n", 60), ("h", 3_600), ("d", 86_400), ("ww", 604_800)] {
            let expected = at.checked_add(Duration::seconds(count * seconds));
            let expected = expected.filter(|at| at.year() <= 9999).map_or(
                "error: DateAdd: the result is out of range".to_owned(),
                |at| quoted(&at.format(format).unwrap()),
            );
            prop_assert_eq!(one(&format!("DateAdd(\"{interval}\", {count}, CDate([a]))"), &text), expected);
        }
        // Month by month, from the first of the month.
        let mut month = at.date().replace_day(1).unwrap();
        for _ in 0..count.abs() {
            month = if count > 0 {
                month.checked_add(Duration::days(31)).unwrap_or(time::Date::MAX)
            } else {
                month - Duration::days(1)
            };
            month = month.replace_day(1).unwrap();
        }
        let last = month.month().length(month.year());
        let expected = at.replace_date(month.replace_day(at.day().min(last)).unwrap());
        let found = one(&format!("DateAdd(\"m\", {count}, CDate([a]))"), &text);
        if month.year() < 9999 {
            prop_assert_eq!(found, quoted(&expected.format(format).unwrap()));
        }
    }

    #[test]
    fn encodings_are_undone(text in ".{0,20}") {
        prop_assert_eq!(one("ConvertFromBase64(ConvertToBase64([a]))", &text), quoted(&text));
        prop_assert_eq!(one("ConvertFromUTF8Hex(ConvertToUTF8Hex([a]))", &text), quoted(&text));
    }

    #[test]
    fn trimming_and_padding_are_what_the_standard_library_says(text in "[ \ta é]{0,8}", length in 0_usize..12) {
        prop_assert_eq!(one("Trim([a])", &text), quoted(text.trim()));
        prop_assert_eq!(one("LTrim([a] & \"\")", &text), quoted(text.trim_start()));
        prop_assert_eq!(one("RTrim([a] & \"\")", &text), quoted(text.trim_end()));
        if !text.is_empty() {
            let padded = one(&format!("PadLeft([a], {length}, \"*\")"), &text);
            prop_assert_eq!(padded, quoted(&format!("{text:*>length$}")));
            let padded = one(&format!("PadRight([a], {length}, \"*\")"), &text);
            prop_assert_eq!(padded, quoted(&format!("{text:*<length$}")));
        }
    }
}
