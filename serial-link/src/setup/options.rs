//! The grammar of QEMU's options: `name=value`, `name` for on, `noname` for off; a doubled comma is a comma.

/// One option as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) name: String,
    pub(super) value: String,
}

/// Splits options. The first may be the value of `implied` alone.
pub(super) fn split(text: &str, implied: Option<&str>) -> Vec<Written> {
    let mut found = Vec::new();
    let mut rest = text;
    let mut implied = implied;
    while !rest.is_empty() {
        let end = rest.find(['=', ',']).unwrap_or(rest.len());
        let option = if rest[end..].starts_with('=') {
            let name = rest[..end].to_owned();
            let (value, after) = value(&rest[end + 1..]);
            rest = after;
            Written { name, value }
        } else if let Some(name) = implied {
            let (value, after) = value(rest);
            rest = after;
            Written {
                name: name.into(),
                value,
            }
        } else {
            let flag = &rest[..end];
            rest = rest[end..].strip_prefix(',').unwrap_or_default();
            let (name, value) = match flag.strip_prefix("no") {
                Some(name) => (name, "off"),
                None => (flag, "on"),
            };
            Written {
                name: name.into(),
                value: value.into(),
            }
        };
        implied = None;
        found.push(option);
    }
    found
}

/// Up to a comma that is not doubled, and what is behind that.
fn value(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut rest = text;
    loop {
        let Some(comma) = rest.find(',') else {
            value.push_str(rest);
            return (value, "");
        };
        value.push_str(&rest[..comma]);
        rest = &rest[comma + 1..];
        match rest.strip_prefix(',') {
            Some(after) => {
                value.push(',');
                rest = after;
            }
            None => return (value, rest),
        }
    }
}

/// What QEMU takes for a switch.
pub(super) fn switch(value: &str) -> Option<bool> {
    match value {
        "on" | "yes" | "true" | "y" => Some(true),
        "off" | "no" | "false" | "n" => Some(false),
        _ => None,
    }
}
