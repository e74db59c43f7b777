//! Updates in JSON, as releases before and since xapi 23.31 write it.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::{Document, Row};
use crate::MetricsError;
use crate::error::reason;
use crate::number::{float, whole};

pub(super) fn read(text: &str) -> Result<Document, MetricsError> {
    serde_json::from_str(text)
        .or_else(|_| serde_json::from_str(&with_quoted_words(text)))
        .map_err(|error| MetricsError::Json { reason: reason(&error) })
}

/// Puts quotes around the words that are no JSON: `NaN`, `-NaN`, `Infinity`, `-Infinity`, `nan`, `inf`, `-inf`.
fn with_quoted_words(text: &str) -> String {
    let mut quoted = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(|letter: char| letter == '"' || is_of_a_word(letter)) {
        let (before, from) = rest.split_at(at);
        quoted.push_str(before);
        let length = if from.starts_with('"') {
            string_length(from)
        } else {
            from.find(|letter: char| !is_of_a_word(letter)).unwrap_or(from.len())
        };
        let (token, after) = from.split_at(length);
        match token {
            "NaN" | "-NaN" | "Infinity" | "-Infinity" | "nan" | "-nan" | "inf" | "-inf" => {
                quoted.extend(["\"", token, "\""]);
            }
            _ => quoted.push_str(token),
        }
        rest = after;
    }
    quoted.push_str(rest);
    quoted
}

fn is_of_a_word(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '-' | '+' | '.')
}

/// The bytes of the string that `text` begins with, quotes included.
fn string_length(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// An object whose members are taken one by one.
trait Members: Default {
    /// Takes the value of a member, or ignores it.
    fn take<'de, A: MapAccess<'de>>(&mut self, name: &str, members: &mut A) -> Result<(), A::Error>;
}

fn object<'de, T: Members, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    deserializer.deserialize_map(ObjectVisitor(T::default()))
}

struct ObjectVisitor<T>(T);

impl<'de, T: Members> Visitor<'de> for ObjectVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<T, A::Error> {
        while let Some(name) = members.next_key::<Cow<'de, str>>()? {
            self.0.take(&name, &mut members)?;
        }
        Ok(self.0)
    }
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        object::<Outer, D>(deserializer).map(|outer| Self {
            rows: outer.data,
            ..outer.meta
        })
    }
}

#[derive(Default)]
struct Outer {
    meta: Document,
    data: Vec<Row>,
}

impl Members for Outer {
    fn take<'de, A: MapAccess<'de>>(&mut self, name: &str, members: &mut A) -> Result<(), A::Error> {
        match name {
            "meta" => self.meta = members.next_value::<Meta>()?.0,
            "data" => self.data = members.next_value()?,
            _ => drop(members.next_value::<IgnoredAny>()?),
        }
        Ok(())
    }
}

#[derive(Default)]
struct Meta(Document);

impl<'de> Deserialize<'de> for Meta {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        object(deserializer)
    }
}

impl Members for Meta {
    fn take<'de, A: MapAccess<'de>>(&mut self, name: &str, members: &mut A) -> Result<(), A::Error> {
        match name {
            "start" => self.0.start = Some(members.next_value::<Number>()?.time()?),
            "end" => self.0.end = Some(members.next_value::<Number>()?.time()?),
            "step" => {
                let step = members.next_value::<Number>()?.time()?;
                if step <= 0 {
                    return Err(de::Error::custom(format_args!("a step of {step} seconds")));
                }
                self.0.step = Some(step);
            }
            "legend" => self.0.legend = members.next_value()?,
            _ => drop(members.next_value::<IgnoredAny>()?),
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Row {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        object(deserializer)
    }
}

impl Members for Row {
    fn take<'de, A: MapAccess<'de>>(&mut self, name: &str, members: &mut A) -> Result<(), A::Error> {
        match name {
            "t" => self.time = Some(members.next_value::<Number>()?.time()?),
            "values" => {
                let values: Vec<Number> = members.next_value()?;
                self.values = values.into_iter().map(|number| number.0).collect();
            }
            _ => drop(members.next_value::<IgnoredAny>()?),
        }
        Ok(())
    }
}

/// A number, bare or as text; a value that is not there is unknown.
struct Number(f64);

impl Number {
    fn time<E: de::Error>(&self) -> Result<i64, E> {
        whole(self.0).ok_or_else(|| E::custom(format_args!("{} is no time", self.0)))
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberVisitor)
    }
}

struct NumberVisitor;

impl Visitor<'_> for NumberVisitor {
    type Value = Number;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, bare or as text")
    }

    fn visit_f64<E>(self, number: f64) -> Result<Number, E> {
        Ok(Number(number))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Number, E> {
        Ok(Number(number as f64))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Number, E> {
        Ok(Number(number as f64))
    }

    fn visit_unit<E>(self) -> Result<Number, E> {
        Ok(Number(f64::NAN))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Number, E> {
        float("a value", text).map(Number).map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_words_outside_of_strings_are_quoted() {
        let text = r#"{"NaN \" inf": [NaN,-Infinity , 1.5e-7, true], "x": nan}"#;
        let expected = r#"{"NaN \" inf": ["NaN","-Infinity" , 1.5e-7, true], "x": "nan"}"#;
        assert_eq!(with_quoted_words(text), expected);
        for text in ["", "[]", "\"", "\"\\", "NaNs", "\"NaN"] {
            assert_eq!(with_quoted_words(text), text);
        }
    }
}
