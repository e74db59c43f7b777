use std::fmt::{self, Write as _};

/// The sentences that answer a request: printed, they are lines for standard output.
///
/// The contract knows no way to write braces or line breaks in a value, so they become parentheses and blanks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sentences(String);

/// An interface to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    value: String,
    display: String,
}

impl Interface {
    /// `value` is what Wireshark asks with, and keeps in people's preferences: it should stay the same; `display` is what
    /// people see.
    pub fn new(value: impl Into<String>, display: impl Into<String>) -> Self {
        Self {
            value: value.into(),
            display: display.into(),
        }
    }
}

/// An option whose value is chosen from a list.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Selector<'a> {
    /// Its name, without the leading `--`.
    pub name: &'a str,
    /// What people see.
    pub display: &'a str,
    /// The values and what people see of each.
    pub values: Vec<(String, String)>,
    /// Whether people can ask for the values anew.
    pub reload: bool,
}

impl<'a> Selector<'a> {
    /// One with these values, which can be asked for anew.
    pub fn reloadable(name: &'a str, display: &'a str, values: Vec<(String, String)>) -> Self {
        Self {
            name,
            display,
            values,
            reload: true,
        }
    }
}

/// An option that is a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Number<'a> {
    /// Its name, without the leading `--`.
    pub name: &'a str,
    /// What people see.
    pub display: &'a str,
    /// What it is where nobody says.
    pub default: u64,
}

/// An option that is a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Text<'a> {
    /// Its name, without the leading `--`.
    pub name: &'a str,
    /// What people see.
    pub display: &'a str,
    /// What stands in its field while that is empty.
    pub placeholder: &'a str,
}

impl Sentences {
    /// The program itself, before its interfaces.
    pub fn program(&mut self, version: &str, help: &str, display: &str) {
        self.say("extcap", &[("version", version), ("help", help), ("display", display)]);
    }

    /// An interface.
    pub fn interface(&mut self, interface: &Interface) {
        self.say(
            "interface",
            &[("value", &interface.value), ("display", &interface.display)],
        );
    }

    /// That an interface has Ethernet frames.
    pub fn ethernet(&mut self) {
        self.say("dlt", &[("number", "1"), ("name", "EN10MB"), ("display", "Ethernet")]);
    }

    /// An option that is chosen from a list; `number` tells it from the others of its interface.
    pub fn selector(&mut self, number: u32, selector: &Selector<'_>) {
        let reload = if selector.reload { "true" } else { "false" };
        self.option(
            number,
            selector.name,
            selector.display,
            &[("type", "selector"), ("reload", reload), ("placeholder", "Look again")],
        );
        self.values(number, &selector.values);
    }

    /// The values of the option with a number, of which the first stands there where nobody says.
    pub fn values(&mut self, number: u32, values: &[(String, String)]) {
        let number = number.to_string();
        for (at, (value, display)) in values.iter().enumerate() {
            let default = if at == 0 { "true" } else { "false" };
            self.say(
                "value",
                &[
                    ("arg", &number),
                    ("value", value),
                    ("display", display),
                    ("default", default),
                ],
            );
        }
    }

    /// An option that is a number.
    pub fn number(&mut self, number: u32, option: &Number<'_>) {
        let default = option.default.to_string();
        self.option(
            number,
            option.name,
            option.display,
            &[("type", "unsigned"), ("default", &default)],
        );
    }

    /// An option that is a text.
    pub fn text(&mut self, number: u32, option: &Text<'_>) {
        let more = [("type", "string"), ("placeholder", option.placeholder)];
        self.option(number, option.name, option.display, &more);
    }

    fn option(&mut self, number: u32, name: &str, display: &str, more: &[(&str, &str)]) {
        let (number, call) = (number.to_string(), format!("--{name}"));
        let mut values = vec![("number", number.as_str()), ("call", &call), ("display", display)];
        values.extend(more);
        self.say("arg", &values);
    }

    fn say(&mut self, word: &str, values: &[(&str, &str)]) {
        self.0.push_str(word);
        self.0.push(' ');
        for (name, value) in values {
            // Writing to a string does not fail.
            let _ = write!(self.0, "{{{name}={}}}", plain(value));
        }
        self.0.push('\n');
    }
}

fn plain(value: &str) -> String {
    let replaced = value.chars().map(|c| match c {
        '{' => '(',
        '}' => ')',
        c if c.is_control() => ' ',
        c => c,
    });
    replaced.collect()
}

impl fmt::Display for Sentences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_in_the_words_of_the_contract() {
        let mut said = Sentences::default();
        let values = vec![("a".to_owned(), "A}\n{B".to_owned()), ("b".to_owned(), String::new())];
        said.selector(0, &Selector::reloadable("nic", "NIC", values));
        said.number(
            1,
            &Number {
                name: "snaplen",
                display: "Bytes",
                default: 7,
            },
        );
        said.text(
            2,
            &Text {
                name: "host",
                display: "Host",
                placeholder: "root@10.0.0.2",
            },
        );
        said.ethernet();
        assert_eq!(
            said.to_string(),
            "arg {number=0}{call=--nic}{display=NIC}{type=selector}{reload=true}{placeholder=Look again}\n\
             value {arg=0}{value=a}{display=A) (B}{default=true}\n\
             value {arg=0}{value=b}{display=}{default=false}\n\
             arg {number=1}{call=--snaplen}{display=Bytes}{type=unsigned}{default=7}\n\
             arg {number=2}{call=--host}{display=Host}{type=string}{placeholder=root@10.0.0.2}\n\
             dlt {number=1}{name=EN10MB}{display=Ethernet}\n"
        );
    }
}
