//! The options of one rule of iptables.

use std::net::IpAddr;

use crate::firewall::compare::condition::{Condition, Of, Ranges, protocol};
use crate::firewall::{Family, Prefix, number};

/// Words of one rule.
const WORDS_MAX: usize = 512;

/// What a rule says.
pub(super) struct Parsed {
    pub(super) conditions: Vec<Condition>,
    pub(super) target: Option<String>,
    /// `-g` in place of `-j`.
    pub(super) goes: bool,
}

/// A line's words, with what is in quotes taken as it is.
pub(super) fn words(text: &str) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            '\\' if quoted => {
                let next = letters.next().ok_or("a backslash ends the line")?;
                word.get_or_insert_default().push(next);
            }
            c if c.is_whitespace() && !quoted => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
        if words.len() > WORDS_MAX {
            return Err("a rule of too many words");
        }
    }
    if quoted {
        return Err("a quotation has no end");
    }
    words.extend(word);
    Ok(words)
}

/// Reads what follows `-A CHAIN`.
pub(super) fn read(words: &[String], family: Family) -> Result<Parsed, &'static str> {
    let mut parsed = Parsed { conditions: Vec::new(), target: None, goes: false };
    // Behind the options, which say more of what is not known.
    let mut extensions = Vec::new();
    let mut words = words.iter().map(String::as_str).peekable();
    while let Some(word) = words.next() {
        let (negated, option) = match word {
            "!" => (true, words.next().ok_or("nothing follows !")?),
            option => (false, option),
        };
        if !option.starts_with('-') {
            return Err("a value belongs to no option");
        }
        if option == "--comment" {
            words.next();
            continue;
        }
        let mut values = Vec::new();
        while let Some(value) = words.next_if(|next| !next.starts_with('-') && *next != "!") {
            values.push(value);
        }
        match option {
            "-j" | "--jump" | "-g" | "--goto" => {
                let [target, ..] = values[..] else { return Err("a target has a name") };
                parsed.target = Some(target.to_owned());
                parsed.goes = option.starts_with("-g") || option == "--goto";
                // The rest are the target's own options.
                break;
            }
            "-m" | "--match" => {
                let [name, ..] = values[..] else { return Err("an extension has a name") };
                if !SAID_BY_OPTIONS.contains(&name) {
                    extensions.push(Condition::Unknown(format!("the extension {name}")));
                }
            }
            "-c" | "--set-counters" => {}
            _ => {
                let condition = condition(option, &values, family)?;
                parsed.conditions.push(if negated { condition.not() } else { condition });
            }
        }
    }
    parsed.conditions.extend(extensions);
    Ok(parsed)
}

/// Extensions that ask nothing but what their options say. Others ask by being there.
const SAID_BY_OPTIONS: [&str; 7] =
    ["tcp", "udp", "multiport", "comment", "conntrack", "state", "iprange"];

/// What an option asks; what is not known here is said to be unknown.
fn condition(option: &str, values: &[&str], family: Family) -> Result<Condition, &'static str> {
    let value = values.first().copied();
    let needed = || value.ok_or("an option has no value");
    Ok(match option {
        "-p" | "--protocol" => match needed()? {
            "all" | "0" => Condition::Constant(true),
            name => match protocol::named(name) {
                Some(number) => Condition::protocol(number),
                None => Condition::Unknown(format!("the protocol {name}")),
            },
        },
        "-s" | "--source" => Condition::Address(Of::Source, addresses(needed()?, family)?),
        "-d" | "--destination" => {
            Condition::Address(Of::Destination, addresses(needed()?, family)?)
        }
        "--src-range" => Condition::Address(Of::Source, span(needed()?, family)?),
        "--dst-range" => Condition::Address(Of::Destination, span(needed()?, family)?),
        "--sport" | "--source-port" | "--sports" | "--source-ports" => {
            Condition::Port(Of::Source, ports(needed()?)?)
        }
        "--dport" | "--destination-port" | "--dports" | "--destination-ports" => {
            Condition::Port(Of::Destination, ports(needed()?)?)
        }
        "-i" | "-o" | "--in-interface" | "--out-interface" => match needed()? {
            "lo" => Condition::Constant(false),
            name => Condition::Unknown(format!("the interface {name}")),
        },
        "--state" | "--ctstate" => {
            let states: Vec<_> = needed()?.split(',').collect();
            let has = |name| states.contains(&name);
            // A change of addresses is a state here too, of which a listing does not tell.
            if has("DNAT") || has("SNAT") {
                Condition::Unknown("a change of addresses".to_owned())
            } else {
                Condition::Connection { new: has("NEW"), established: has("ESTABLISHED") }
            }
        }
        "--syn" => Condition::Opens,
        "--tcp-flags" if values == ["FIN,SYN,RST,ACK", "SYN"] => Condition::Opens,
        other => Condition::Unknown(format!("{other} {}", values.join(" "))),
    })
}

/// `10.0.0.0/8`, `10.0.0.1`, `10.0.0.0/255.0.0.0`: as the kernel masks it.
fn addresses(text: &str, family: Family) -> Result<Ranges, &'static str> {
    const WRONG: &str = "neither an address nor a prefix of this family";
    let (address, length) = text.split_once('/').map_or((text, None), |(a, l)| (a, Some(l)));
    let address: IpAddr = address.parse().map_err(|_| WRONG)?;
    if Family::of(address) != family {
        return Err(WRONG);
    }
    let length = match length {
        None => family.bits(),
        Some(text) => match (text.parse::<u8>(), text.parse::<IpAddr>()) {
            (Ok(length), _) if length <= family.bits() => length,
            (_, Ok(mask)) if Family::of(mask) == family => mask_length(number(mask), family)?,
            _ => return Err(WRONG),
        },
    };
    let host = family.bits() - length;
    let low = if host >= 128 { u128::MAX } else { (1 << host) - 1 };
    let masked = family.address(number(address) & !low & family.last());
    let prefix = Prefix::new(masked, length).ok_or(WRONG)?;
    Ok(Ranges::new([prefix.span()]))
}

fn mask_length(mask: u128, family: Family) -> Result<u8, &'static str> {
    let host = family.last() ^ mask;
    let is_mask = host.checked_add(1).is_none_or(u128::is_power_of_two);
    match u8::try_from(mask.count_ones()) {
        Ok(length) if is_mask => Ok(length),
        _ => Err("a mask with holes"),
    }
}

fn span(text: &str, family: Family) -> Result<Ranges, &'static str> {
    const WRONG: &str = "no range of addresses of this family";
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let end = |text: &str| {
        let address: IpAddr = text.parse().map_err(|_| WRONG)?;
        if Family::of(address) == family { Ok(number(address)) } else { Err(WRONG) }
    };
    Ok(Ranges::new([(end(first)?, end(last)?)]))
}

/// `53`, `1:1023`, `:1023`, `53,88,49152:65535`.
fn ports(text: &str) -> Result<Ranges, &'static str> {
    const WRONG: &str = "neither a port nor a range of ports";
    let port = |text: &str, open: u16| match text {
        "" => Ok(u128::from(open)),
        text => text.parse::<u16>().map(u128::from).map_err(|_| WRONG),
    };
    let range = |text: &str| match text.split_once(':') {
        Some((first, last)) => Ok((port(first, 0)?, port(last, u16::MAX)?)),
        None if text.is_empty() => Err(WRONG),
        None => Ok((port(text, 0)?, port(text, 0)?)),
    };
    Ok(Ranges::new(text.split(',').map(range).collect::<Result<Vec<_>, _>>()?))
}
