//! A `<value>` read straight into the type wanted.

use std::borrow::Cow;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::scanner::{Kind, Scanner, Start};
use crate::error::Segment;
use crate::key::{Key, Variant};
use crate::read_value::WITH_TIMES;
use crate::{DecodeError, number};

/// The value that the scanner stands before.
pub(super) struct Element<'s, 'de>(pub(super) &'s mut Scanner<'de>);

impl<'de> Element<'_, 'de> {
    fn untyped<V: Visitor<'de>>(self, visitor: V, with_times: bool) -> Result<V::Value, DecodeError> {
        match self.0.value()? {
            Start::Scalar(Kind::Text, text) => visit_text(visitor, text),
            Start::Scalar(Kind::Int, text) => visitor.visit_i64(integer(Kind::Int, &text)?),
            Start::Scalar(Kind::Double, text) => visitor.visit_f64(float(Kind::Double, &text)?),
            Start::Scalar(Kind::Boolean, text) => visitor.visit_bool(boolean(Kind::Boolean, &text)?),
            Start::Scalar(Kind::DateTime, text) if with_times => visitor.visit_bytes(text.as_bytes()),
            Start::Scalar(Kind::DateTime, text) => visit_text(visitor, text),
            Start::Nil => visitor.visit_unit(),
            Start::Array => visit_items(self.0, visitor, true),
            Start::NoItems => visit_items(self.0, visitor, false),
            Start::Struct => visit_members(self.0, visitor, true),
            Start::NoMembers => visit_members(self.0, visitor, false),
        }
    }

    fn scalar(self, expected: &'static str) -> Result<(Kind, Cow<'de, str>), DecodeError> {
        let found = match self.0.value()? {
            Start::Scalar(kind, text) => return Ok((kind, text)),
            Start::Nil => "no value",
            Start::Array | Start::NoItems => "a set",
            Start::Struct | Start::NoMembers => "a map or record",
        };
        Err(DecodeError::mismatch(expected, found))
    }
}

macro_rules! integers {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
            let (kind, text) = self.scalar("an integer")?;
            visitor.visit_i64(integer(kind, &text)?)
        }
    )*};
}

impl<'de> Deserializer<'de> for Element<'_, 'de> {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.untyped(visitor, false)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        let (kind, text) = self.scalar("a boolean")?;
        visitor.visit_bool(boolean(kind, &text)?)
    }

    integers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        let (kind, text) = self.scalar("a float")?;
        visitor.visit_f64(float(kind, &text)?)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.scalar("text")? {
            (Kind::Boolean, _) => Err(DecodeError::mismatch("text", "a boolean")),
            (Kind::Double, _) => Err(DecodeError::mismatch("text", "a float")),
            (Kind::Text | Kind::Int | Kind::DateTime, text) => visit_text(visitor, text),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.0.value()? {
            Start::Nil => visitor.visit_unit(),
            Start::Scalar(Kind::Text, text) if text.is_empty() => visitor.visit_unit(),
            Start::Scalar(..) => Err(DecodeError::mismatch("no value", "text")),
            Start::Array | Start::NoItems => Err(DecodeError::mismatch("no value", "a set")),
            Start::Struct | Start::NoMembers => Err(DecodeError::mismatch("no value", "a map or record")),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        let mut ahead = self.0.fork();
        if let Start::Nil = ahead.value()? {
            *self.0 = ahead;
            return visitor.visit_none();
        }
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        if name == WITH_TIMES {
            self.untyped(visitor, true)
        } else {
            visitor.visit_newtype_struct(self)
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        let (_, text) = self.scalar("an enum's text")?;
        visitor.visit_enum(Variant(&text))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.0.skip_value()?;
        visitor.visit_unit()
    }

    forward_to_deserialize_any! { char bytes byte_buf seq tuple tuple_struct map struct }
}

fn visit_text<'de, V: Visitor<'de>>(visitor: V, text: Cow<'de, str>) -> Result<V::Value, DecodeError> {
    match text {
        Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
        Cow::Owned(text) => visitor.visit_string(text),
    }
}

fn integer(kind: Kind, text: &str) -> Result<i64, DecodeError> {
    match kind {
        Kind::Text | Kind::Int => number::integer(text),
        Kind::Double | Kind::Boolean | Kind::DateTime => None,
    }
    .ok_or_else(|| DecodeError::mismatch("an integer", named(kind)))
}

fn float(kind: Kind, text: &str) -> Result<f64, DecodeError> {
    match kind {
        Kind::Text | Kind::Int | Kind::Double => number::float(text),
        Kind::Boolean | Kind::DateTime => None,
    }
    .ok_or_else(|| DecodeError::mismatch("a float", named(kind)))
}

fn boolean(kind: Kind, text: &str) -> Result<bool, DecodeError> {
    match (kind, text.trim_ascii()) {
        (Kind::Boolean, "1" | "true") => Ok(true),
        (Kind::Boolean, "0" | "false") => Ok(false),
        _ => Err(DecodeError::mismatch("a boolean", named(kind))),
    }
}

fn named(kind: Kind) -> &'static str {
    match kind {
        Kind::Text => "text",
        Kind::Int => "a tagged integer of another form",
        Kind::Double => "a tagged float",
        Kind::Boolean => "a tagged boolean",
        Kind::DateTime => "a time",
    }
}

fn visit_items<'de, V: Visitor<'de>>(
    scanner: &mut Scanner<'de>,
    visitor: V,
    more: bool,
) -> Result<V::Value, DecodeError> {
    let mut items = Items {
        scanner,
        index: 0,
        more,
    };
    let result = visitor.visit_seq(&mut items)?;
    while items.more {
        items.next_element::<serde::de::IgnoredAny>()?;
    }
    Ok(result)
}

struct Items<'s, 'de> {
    scanner: &'s mut Scanner<'de>,
    index: usize,
    more: bool,
}

impl<'de> SeqAccess<'de> for Items<'_, 'de> {
    type Error = DecodeError;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, DecodeError> {
        self.more = self.more && self.scanner.next_item()?;
        if !self.more {
            return Ok(None);
        }
        let (index, at) = (self.index, self.scanner.at());
        self.index += 1;
        seed.deserialize(Element(self.scanner))
            .map(Some)
            .map_err(|error| error.or_at(at).inside(Segment::Item(index)))
    }
}

fn visit_members<'de, V: Visitor<'de>>(
    scanner: &mut Scanner<'de>,
    visitor: V,
    more: bool,
) -> Result<V::Value, DecodeError> {
    let mut members = Members {
        scanner,
        key: Cow::Borrowed(""),
        more,
    };
    let result = visitor.visit_map(&mut members)?;
    while members.more {
        members.next_entry::<serde::de::IgnoredAny, serde::de::IgnoredAny>()?;
    }
    Ok(result)
}

struct Members<'s, 'de> {
    scanner: &'s mut Scanner<'de>,
    key: Cow<'de, str>,
    more: bool,
}

impl<'de> MapAccess<'de> for Members<'_, 'de> {
    type Error = DecodeError;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, DecodeError> {
        if !self.more {
            return Ok(None);
        }
        let at = self.scanner.at();
        let Some(key) = self.scanner.next_member()? else {
            self.more = false;
            return Ok(None);
        };
        self.key = key;
        seed.deserialize(Key(&self.key))
            .map(Some)
            .map_err(|error| error.or_at(at).inside(Segment::member(&self.key)))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, DecodeError> {
        let at = self.scanner.at();
        let value = seed
            .deserialize(Element(self.scanner))
            .map_err(|error| error.or_at(at).inside(Segment::member(&self.key)))?;
        self.scanner.end_member()?;
        Ok(value)
    }
}
