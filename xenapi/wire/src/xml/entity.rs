//! Entities and CDATA.

pub(super) const CDATA: &str = "<![CDATA[";

/// The longest entity that means anything, `&#x10FFFF;` with a few zeros.
const LONGEST: usize = 16;

/// The character that an entity at the start of the text stands for, and the entity's length; of what is no entity
/// the `&` itself.
pub(super) fn read(text: &str) -> (char, usize) {
    let end = text.bytes().take(LONGEST).position(|byte| byte == b';');
    let known = end.and_then(|end| Some((meaning(text.get(1..end)?)?, end + 1)));
    known.unwrap_or(('&', 1))
}

fn meaning(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(digits) => u32::from_str_radix(digits, 16),
                None => number.parse(),
            };
            char::from_u32(code.ok()?)
        }
    }
}

/// The text of a CDATA section.
pub(super) fn cdata(section: &str) -> Option<&str> {
    section.strip_prefix(CDATA)?.strip_suffix("]]>")
}

/// Text in which every `&` and `<` that starts nothing known stands for itself.
pub(super) fn unescape(mut rest: &str) -> String {
    let mut text = String::with_capacity(rest.len());
    while let Some(at) = memchr::memchr2(b'<', b'&', rest.as_bytes()) {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        if rest.starts_with('&') {
            let (character, length) = read(rest);
            text.push(character);
            rest = &rest[length..];
        } else if let Some((section, after)) = rest.strip_prefix(CDATA).and_then(|rest| rest.split_once("]]>")) {
            text.push_str(section);
            rest = after;
        } else {
            text.push('<');
            rest = &rest[1..];
        }
    }
    text.push_str(rest);
    text
}
