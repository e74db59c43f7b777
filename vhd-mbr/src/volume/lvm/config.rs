//! The language in which volume groups are described: sections, and values with names.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::str::Chars;

use super::Error;

/// Sections are nested less deeply.
const DEEPEST: usize = 16;

#[derive(Debug)]
pub(super) enum Value {
    Number(u64),
    Text(String),
    List(Vec<Self>),
}

#[derive(Debug, Default)]
pub(super) struct Section {
    values: BTreeMap<String, Value>,
    pub(super) sections: BTreeMap<String, Self>,
}

impl Section {
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        let mut parser = Parser {
            chars: text.chars().peekable(),
            line: 1,
        };
        parser.section(0)
    }

    pub(super) fn section(&self, name: &str) -> Option<&Self> {
        self.sections.get(name)
    }

    pub(super) fn number(&self, name: &str) -> Result<u64, Error> {
        match self.values.get(name) {
            Some(Value::Number(number)) => Ok(*number),
            _ => Err(Error::missing(format!("there is no number {name}"))),
        }
    }

    pub(super) fn text(&self, name: &str) -> Result<&str, Error> {
        match self.values.get(name) {
            Some(Value::Text(text)) => Ok(text),
            _ => Err(Error::missing(format!("there is no text {name}"))),
        }
    }

    pub(super) fn list(&self, name: &str) -> &[Value] {
        match self.values.get(name) {
            Some(Value::List(list)) => list,
            _ => &[],
        }
    }

    /// Whether the list `name` has this text.
    pub(super) fn lists(&self, name: &str, text: &str) -> bool {
        self.list(name)
            .iter()
            .any(|value| matches!(value, Value::Text(found) if found == text))
    }
}

struct Parser<'a> {
    chars: Peekable<Chars<'a>>,
    line: usize,
}

impl Parser<'_> {
    fn wrong<T>(&self, what: &str) -> Result<T, Error> {
        Err(Error::Description {
            line: self.line,
            what: what.to_owned(),
        })
    }

    fn next(&mut self) -> Option<char> {
        let next = self.chars.next();
        self.line += usize::from(next == Some('\n'));
        next
    }

    /// The next character that means something, which is not taken.
    fn peek(&mut self) -> Option<char> {
        loop {
            match *self.chars.peek()? {
                '#' => while self.next().is_some_and(|character| character != '\n') {},
                character if character.is_whitespace() => {
                    self.next();
                }
                character => return Some(character),
            }
        }
    }

    /// What is in a section, up to its end.
    fn section(&mut self, depth: usize) -> Result<Section, Error> {
        let mut section = Section::default();
        if depth > DEEPEST {
            return self.wrong("sections are nested too deeply");
        }
        loop {
            match self.peek() {
                None if depth == 0 => return Ok(section),
                None => return self.wrong("a section has no end"),
                Some('}') if depth > 0 => {
                    self.next();
                    return Ok(section);
                }
                Some(_) => {}
            }
            let name = self.word();
            if name.is_empty() {
                return self.wrong("there is no name where one should be");
            }
            match self.peek() {
                Some('{') => {
                    self.next();
                    let inner = self.section(depth + 1)?;
                    section.sections.insert(name, inner);
                }
                Some('=') => {
                    self.next();
                    let value = self.value(true)?;
                    section.values.insert(name, value);
                }
                _ => return self.wrong("a name is not followed by = or {"),
            }
        }
    }

    fn word(&mut self) -> String {
        let mut word = String::new();
        let ends = |&character: &char| character.is_whitespace() || "{}[]=,#\"".contains(character);
        while let Some(character) = self.chars.next_if(|character| !ends(character)) {
            word.push(character);
        }
        word
    }

    fn value(&mut self, may_be_list: bool) -> Result<Value, Error> {
        match self.peek() {
            Some('"') => self.quoted().map(Value::Text),
            Some('[') if may_be_list => {
                self.next();
                self.list().map(Value::List)
            }
            _ => {
                let word = self.word();
                if word.is_empty() {
                    return self.wrong("there is no value where one should be");
                }
                // What is no number of our kind, such as a fraction, is never asked for.
                Ok(word.parse().map_or(Value::Text(word), Value::Number))
            }
        }
    }

    fn list(&mut self) -> Result<Vec<Value>, Error> {
        let mut list = Vec::new();
        loop {
            match self.peek() {
                Some(']') => {
                    self.next();
                    return Ok(list);
                }
                Some(',') => {
                    self.next();
                }
                Some(_) => list.push(self.value(false)?),
                None => return self.wrong("a list has no end"),
            }
        }
    }

    fn quoted(&mut self) -> Result<String, Error> {
        self.next();
        let mut text = String::new();
        loop {
            match self.next() {
                Some('"') => return Ok(text),
                Some('\\') => text.extend(self.next()),
                Some(character) => text.push(character),
                None => return self.wrong("a text has no end"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_and_values() {
        let text =
            "vg { # a group\n id = \"x\\\"y\"\n n=-1 m = 12\n list = [ \"a\", 1,\n\"b\", 2 ] empty = [] sub{k=1} }";
        let parsed = Section::parse(text).unwrap();
        let group = parsed.section("vg").unwrap();
        assert_eq!(group.text("id").unwrap(), "x\"y");
        assert_eq!(group.number("m").unwrap(), 12);
        assert!(group.number("n").is_err());
        assert_eq!(group.list("list").len(), 4);
        assert!(group.lists("list", "b") && !group.lists("empty", "b"));
        assert_eq!(group.section("sub").unwrap().number("k").unwrap(), 1);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (text, expected) in [
            ("a {\nb = \n}", 3),
            ("a {\n\nb", 3),
            ("a = [ 1,\n", 2),
            ("a = \"", 1),
            ("}", 1),
            ("a = [ [ 1 ] ]", 1),
        ] {
            let error = Section::parse(text).unwrap_err();
            assert!(
                matches!(error, Error::Description { line, .. } if line == expected),
                "{text:?}: {error}"
            );
        }
        assert!(Section::parse(&"a{".repeat(100_000)).is_err());
    }
}
