//! What a person's program needs of a page: its form, and what it complains of.

/// The first form of a page.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Form {
    /// Where it is posted to.
    pub(super) action: String,
    /// What it hides, by name.
    pub(super) hidden: Vec<(String, String)>,
}

impl Form {
    /// The first form of a page; none when it has none that says where it goes.
    pub(super) fn first(page: &str) -> Option<Self> {
        let (_, form) = page.split_once("<form ")?;
        let form = form.split("</form>").next()?;
        let action = attribute(form.split('>').next()?, "action")?;
        let hidden = form
            .split("<input ")
            .skip(1)
            .filter_map(|input| input.split('>').next())
            .filter(|input| attribute(input, "type").as_deref() == Some("hidden"))
            .filter_map(|input| Some((attribute(input, "name")?, attribute(input, "value")?)))
            .collect();
        Some(Self { action, hidden })
    }
}

/// The sentence of a page's complaint, if it has one.
pub(super) fn complaint(page: &str) -> Option<String> {
    let (_, alert) = page.split_once("role=\"alert\"")?;
    let (_, sentence) = alert.split_once("<p>")?;
    Some(decoded(sentence.split("</p>").next()?.trim()))
}

/// An attribute of a tag, whose text is between its name and its end. Values stand in quotes and hold
/// no `>`: the tenant escapes it.
fn attribute(tag: &str, name: &str) -> Option<String> {
    let before = format!("{name}=\"");
    let starts = tag.match_indices(&before).find(|(at, _)| {
        *at == 0 || tag.as_bytes().get(at - 1).is_some_and(u8::is_ascii_whitespace)
    });
    let (at, _) = starts?;
    let value = tag.get(at + before.len()..)?;
    Some(decoded(value.split('"').next()?))
}

/// A text with its character references replaced; what is none stays.
fn decoded(text: &str) -> String {
    /// The longest reference that is looked for, `&` and `;` not counted.
    const REFERENCE_CHARACTERS_MAX: usize = 8;
    let mut whole = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        whole.push_str(before);
        let reference =
            after.split_once(';').filter(|(it, _)| it.len() <= REFERENCE_CHARACTERS_MAX);
        match reference.and_then(|(name, behind)| Some((character(name)?, behind))) {
            Some((character, behind)) => {
                whole.push(character);
                rest = behind;
            }
            None => {
                whole.push('&');
                rest = after;
            }
        }
    }
    whole + rest
}

fn character(reference: &str) -> Option<char> {
    match reference {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let digits = reference.strip_prefix('#')?;
            let number = match digits.strip_prefix(['x', 'X']) {
                Some(digits) => u32::from_str_radix(digits, 16).ok()?,
                None => digits.parse().ok()?,
            };
            char::from_u32(number)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_s_hidden_fields_are_read_as_they_were_meant() {
        let page = "<p>x</p><form method=\"post\" action=\"/t/login?a=1&amp;b=2\">\n\
            <input type=\"hidden\" name=\"canary\" value=\"a&#34;b&#x26;c\">\n\
            <input id=\"loginfmt\" name=\"loginfmt\" type=\"text\" value=\"who\"></form>\
            <form action=\"/other\"><input type=\"hidden\" name=\"n\" value=\"v\"></form>";
        let form = Form::first(page).unwrap();
        assert_eq!(form.action, "/t/login?a=1&b=2");
        assert_eq!(form.hidden, [("canary".to_owned(), "a\"b&c".to_owned())]);
        assert_eq!(Form::first("<p>none</p>"), None);
    }

    #[test]
    fn a_complaint_is_the_sentence_of_the_alert() {
        let page =
            "<div class=\"complaint\" role=\"alert\">\n<p>Your name &amp; password</p></div>";
        assert_eq!(complaint(page).as_deref(), Some("Your name & password"));
        assert_eq!(complaint("<p>all is well</p>"), None);
    }

    #[test]
    fn what_is_no_reference_stays() {
        for (text, expected) in
            [("a&b", "a&b"), ("&nbsp;&#xd800;", "&nbsp;&#xd800;"), ("&#65;&", "A&")]
        {
            assert_eq!(decoded(text), expected);
        }
    }
}
