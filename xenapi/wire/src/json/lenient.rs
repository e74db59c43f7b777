//! JSON as servers write it when it is none: bare `NaN` and infinities, raw control characters, broken UTF-8.

use memchr::memchr2;

use crate::Value;
use crate::error::Segment;
use crate::{DecodeError, MAX_DEPTH};

/// Reads a whole message.
pub(super) fn parse(message: &[u8]) -> Result<Value, DecodeError> {
    let mut parser = Parser {
        message,
        at: 0,
        depth: 0,
    };
    let value = parser.value()?;
    parser.skip_space();
    if parser.at == message.len() {
        Ok(value)
    } else {
        Err(parser.error("more follows the end of the message"))
    }
}

/// The byte at which the value stands to which the steps lead.
pub(super) fn find<'s>(message: &[u8], steps: impl Iterator<Item = &'s Segment>) -> Option<usize> {
    let mut parser = Parser {
        message,
        at: 0,
        depth: 0,
    };
    for step in steps {
        parser.step(step)?;
    }
    parser.skip_space();
    Some(parser.at)
}

struct Parser<'a> {
    message: &'a [u8],
    at: usize,
    depth: usize,
}

/// Values without quotes. `serde_json` refuses the last four, and Python's and OCaml's libraries write them.
const WORDS: [(&str, Value); 7] = [
    ("null", Value::Null),
    ("true", Value::Bool(true)),
    ("false", Value::Bool(false)),
    ("NaN", Value::Float(f64::NAN)),
    ("-NaN", Value::Float(f64::NAN)),
    ("Infinity", Value::Float(f64::INFINITY)),
    ("-Infinity", Value::Float(f64::NEG_INFINITY)),
];

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a [u8] {
        self.message.get(self.at..).unwrap_or_default()
    }

    fn error(&self, reason: &str) -> DecodeError {
        DecodeError::at(self.at, reason)
    }

    fn skip_space(&mut self) {
        let rest = self.rest();
        self.at += rest
            .iter()
            .take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'))
            .count();
    }

    /// Goes past a byte if it comes next, white space aside.
    fn eat(&mut self, byte: u8) -> bool {
        self.skip_space();
        let found = self.rest().first() == Some(&byte);
        self.at += usize::from(found);
        found
    }

    fn value(&mut self) -> Result<Value, DecodeError> {
        self.skip_space();
        match self.rest().first() {
            Some(b'{') => self.nested(Self::members),
            Some(b'[') => self.nested(Self::items),
            Some(b'"') => self.string().map(Value::String),
            Some(_) => self.word(),
            None => Err(self.error("the message ends where a value is missing")),
        }
    }

    fn nested(&mut self, read: fn(&mut Self) -> Result<Value, DecodeError>) -> Result<Value, DecodeError> {
        if self.depth == MAX_DEPTH {
            return Err(self.error("values nest deeper than 128 levels"));
        }
        self.depth += 1;
        self.at += 1;
        let value = read(self)?;
        self.depth -= 1;
        Ok(value)
    }

    fn items(&mut self) -> Result<Value, DecodeError> {
        let mut items = Vec::new();
        if self.eat(b']') {
            return Ok(Value::Array(items));
        }
        loop {
            items.push(self.value()?);
            if self.eat(b']') {
                return Ok(Value::Array(items));
            }
            if !self.eat(b',') {
                return Err(self.error("expected a comma or the end of the array"));
            }
        }
    }

    fn members(&mut self) -> Result<Value, DecodeError> {
        let mut members = Vec::new();
        if self.eat(b'}') {
            return Ok(Value::Struct(members));
        }
        loop {
            let name = self.name()?;
            members.push((name, self.value()?));
            if self.eat(b'}') {
                return Ok(Value::Struct(members));
            }
            if !self.eat(b',') {
                return Err(self.error("expected a comma or the end of the object"));
            }
        }
    }

    fn name(&mut self) -> Result<String, DecodeError> {
        self.skip_space();
        if self.rest().first() != Some(&b'"') {
            return Err(self.error("expected the name of a member"));
        }
        let name = self.string()?;
        if self.eat(b':') {
            Ok(name)
        } else {
            Err(self.error("expected a colon"))
        }
    }

    fn word(&mut self) -> Result<Value, DecodeError> {
        let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
        let length = self.rest().iter().take_while(is_part).count();
        let word = self
            .rest()
            .get(..length)
            .and_then(|word| std::str::from_utf8(word).ok())
            .unwrap_or_default();
        let value = WORDS
            .into_iter()
            .find(|(known, _)| *known == word)
            .map(|(_, value)| value)
            .or_else(|| number(word));
        let value = value.ok_or_else(|| self.error("expected a value"))?;
        self.at += length;
        Ok(value)
    }

    /// Reads a string; only `"` and `\` mean anything in it.
    fn string(&mut self) -> Result<String, DecodeError> {
        self.at += 1;
        let mut text = String::new();
        loop {
            let rest = self.rest();
            let Some(length) = memchr2(b'"', b'\\', rest) else {
                self.at = self.message.len();
                return Err(self.error("the message ends inside text"));
            };
            text.push_str(&String::from_utf8_lossy(&rest[..length]));
            self.at += length + 1;
            if rest[length] == b'"' {
                return Ok(text);
            }
            text.push(self.escape()?);
        }
    }

    fn escape(&mut self) -> Result<char, DecodeError> {
        let kind = self.rest().first().copied();
        self.at += 1;
        match kind {
            Some(byte @ (b'"' | b'\\' | b'/')) => Ok(char::from(byte)),
            Some(b'b') => Ok('\u{8}'),
            Some(b'f') => Ok('\u{c}'),
            Some(b'n') => Ok('\n'),
            Some(b'r') => Ok('\r'),
            Some(b't') => Ok('\t'),
            Some(b'u') => self.unit().map(|unit| self.with_low_half(unit)),
            _ => Err(self.error("an unknown escape in text")),
        }
    }

    /// Four hexadecimal digits.
    fn unit(&mut self) -> Result<u16, DecodeError> {
        let digits = self
            .rest()
            .get(..4)
            .filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let unit = digits.and_then(|digits| u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        let unit = unit.ok_or_else(|| self.error("expected four hexadecimal digits"))?;
        self.at += 4;
        Ok(unit)
    }

    /// The character of a UTF-16 unit and, where it is a high half, the low half that follows; U+FFFD for a half that
    /// stands alone.
    fn with_low_half(&mut self, unit: u16) -> char {
        let before = self.at;
        let low = match self.rest() {
            [b'\\', b'u', ..] if (0xd800..0xdc00).contains(&unit) => {
                self.at += 2;
                self.unit().ok()
            }
            _ => None,
        };
        let pair = low
            .and_then(|low| char::decode_utf16([unit, low]).next())
            .and_then(Result::ok);
        if pair.is_none() {
            self.at = before;
        }
        pair.or_else(|| char::from_u32(unit.into()))
            .unwrap_or(char::REPLACEMENT_CHARACTER)
    }

    /// Goes to the start of a member's or an item's value.
    fn step(&mut self, step: &Segment) -> Option<()> {
        match step {
            Segment::Item(index) => {
                let mut inside = self.eat(b'[');
                for _ in 0..*index {
                    self.value().ok().filter(|_| inside)?;
                    inside = self.eat(b',');
                }
                inside.then_some(())
            }
            Segment::Member(wanted) => {
                let mut inside = self.eat(b'{');
                while inside {
                    if Segment::member(&self.name().ok()?) == Segment::Member(wanted.clone()) {
                        return Some(());
                    }
                    self.value().ok()?;
                    inside = self.eat(b',');
                }
                None
            }
        }
    }
}

/// An integer, or a float where it has a point, an exponent or too many digits.
fn number(word: &str) -> Option<Value> {
    if !word.ends_with(|last: char| last.is_ascii_digit()) {
        return None;
    }
    match word.parse() {
        Ok(number) => Some(Value::Int(number)),
        Err(_) => word.parse().ok().map(Value::Float),
    }
}
