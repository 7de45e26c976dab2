//! Date and time. All times are UTC, of the years 1 to 9999.

use super::argument;
use crate::expression::error::Why;
use crate::expression::function::{Function, blame, number, text, time};
use crate::expression::kinds::Kinds;
use crate::expression::moment;
use crate::expression::value::Scalar;
use crate::filetime::{from_filetime, to_filetime};

/// The group.
pub(super) const FUNCTIONS: &[Function] = &[
    Function::each(
        "DateAdd",
        &[text("interval"), number("count"), time("time")],
        Kinds::TIME,
        |slots, _| {
            let interval = argument::text(&mut slots[0]);
            let count = argument::number(&slots[1]).unwrap_or(0);
            let Some(at) = argument::time(&slots[2]) else { return Ok(None) };
            let months = |months| moment::add_months(at, count, months);
            let seconds = |seconds| moment::add_seconds(at, count, seconds);
            let moved = match &*interval {
                "yyyy" => months(12),
                "q" => months(3),
                "m" => months(1),
                "y" | "d" | "w" => seconds(86_400),
                "ww" => seconds(7 * 86_400),
                "h" => seconds(3_600),
                "n" => seconds(60),
                "s" => seconds(1),
                _ => {
                    let noun = "interval (yyyy, q, m, y, d, w, ww, h, n or s)";
                    return Err(blame(0)(Why::form(noun, &interval)));
                }
            };
            Ok(Some(Scalar::Time(moved.ok_or(Why::Overflow)?)))
        },
        "The time so many intervals later, or earlier of a negative count: `yyyy` years, `q` \
         quarters, `m` months, `y`, `d` and `w` days, `ww` weeks, `h` hours, `n` minutes, `s` \
         seconds. Where the month has no such day, its last.",
        &["DateAdd(\"m\", 3, CDate(\"2001-01-01\"))", "DateAdd(\"m\", 1, CDate(\"2024-01-31\"))"],
    ),
    Function::each(
        "DateFromNum",
        &[number("value")],
        Kinds::TIME,
        |slots, _| {
            let at = from_filetime(argument::number(&slots[0]).unwrap_or(0));
            let at = at.and_then(moment::in_range).ok_or_else(|| blame(0)(Why::Overflow))?;
            Ok(Some(Scalar::Time(at)))
        },
        "The time of a number as Active Directory holds times: 100 ns since 1601.",
        &["DateFromNum(129699324000000000)"],
    ),
    Function::each(
        "FormatDateTime",
        &[time("time"), text("format")],
        Kinds::TEXT,
        |slots, run| {
            let format = argument::text(&mut slots[1]);
            let Some(at) = argument::time(&slots[0]) else { return Ok(None) };
            run.room(format.len().saturating_mul(3))?;
            let text = moment::format(at, &format);
            let wrong = || blame(1)(Why::form("format of times", &format));
            Ok(Some(Scalar::text(text.ok_or_else(wrong)?)))
        },
        "The time in a format of .NET: `yyyy`, `MM`, `dd`, `HH` (`hh` with `tt`), `mm`, `ss`, `fff` \
         and their kin, text in quotes, or one of its standard formats such as `s`. Names are English.",
        &[
            "FormatDateTime(CDate(\"12/25/2007\"), \"yyyy-MM-dd\")",
            "FormatDateTime(DateFromNum([pwdLastSet]), \"yyyyMMddHHmmss.0Z\")",
            "FormatDateTime(CDate(\"2012-01-01 23:00\"), \"dddd, d MMMM yyyy 'at' h:mm tt\")",
        ],
    ),
    Function::each(
        "Now",
        &[],
        Kinds::TIME,
        |_, run| Ok(Some(Scalar::Time(run.now()))),
        "The time at which the run began.",
        &["Now()"],
    )
    .changing(),
    Function::each(
        "NumFromDate",
        &[time("time")],
        Kinds::NUMBER,
        |slots, _| {
            let number = argument::time(&slots[0]).and_then(to_filetime);
            Ok(Some(Scalar::Integer(number.ok_or(Why::Overflow)?)))
        },
        "The number by which Active Directory holds a time: 100 ns since 1601.",
        &["NumFromDate(CDate(\"2012-01-01 23:00:00\"))"],
    ),
];
