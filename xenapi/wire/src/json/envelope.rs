//! The wrapping of a reply, with the result decoded in place.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};

use crate::Value;

/// `{"result": …, "error": …}` in any order, beside any other members.
pub(super) struct Envelope<T> {
    /// `None` where there is no such member, `Some(None)` where it is null.
    pub(super) result: Option<Option<T>>,
    pub(super) error: Value,
}

enum Name {
    Result,
    Error,
    Other,
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Name;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a member")
            }

            fn visit_str<E>(self, name: &str) -> Result<Name, E> {
                Ok(match name {
                    "result" => Name::Result,
                    "error" => Name::Error,
                    _ => Name::Other,
                })
            }
        }
        deserializer.deserialize_identifier(Text)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Envelope<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<T>(PhantomData<fn() -> T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = Envelope<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON-RPC reply")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Envelope<T>, A::Error> {
                let mut envelope = Envelope {
                    result: None,
                    error: Value::Null,
                };
                while let Some(name) = access.next_key()? {
                    match name {
                        Name::Result => envelope.result = Some(access.next_value()?),
                        Name::Error => envelope.error = access.next_value()?,
                        Name::Other => access.next_value::<IgnoredAny>().map(drop)?,
                    }
                }
                Ok(envelope)
            }
        }
        deserializer.deserialize_map(Members(PhantomData))
    }
}
