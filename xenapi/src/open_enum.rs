//! Enums that keep a value they do not know.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, Deserializer, Visitor};

/// Makes an enum of texts: the known ones are variants, any other is kept in `Other`.
///
/// Values compare by their texts, which costs far less to compile than derived comparisons of six hundred variants.
macro_rules! open_enum {
    (
        $(#[$meta:meta])*
        pub enum $name:ident { $($(#[$about:meta])* $variant:ident = $text:literal,)* }
    ) => {
        $(#[$meta])*
        ///
        /// A server can send values that are newer than this crate: [`Other`](Self::Other) keeps their text. The
        /// default is `Other` with an empty text, which stands for "not said".
        #[derive(Clone, Debug)]
        #[allow(clippy::enum_variant_names)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$about])* $variant,)*
            /// A value that this crate does not know.
            Other(Box<str>),
        }

        impl $name {
            /// The known values.
            pub const VALUES: &'static [Self] = &[$(Self::$variant,)*];

            /// The text as it travels.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)*
                    Self::Other(text) => text,
                }
            }

            /// Whether this crate knows the value.
            pub const fn is_known(&self) -> bool {
                !matches!(self, Self::Other(_))
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                let known = [$($text),*].iter().zip(Self::VALUES).find(|(known, _)| **known == text);
                known.map_or_else(|| Self::Other(text.into()), |(_, value)| value.clone())
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.as_str() == other.as_str()
            }
        }

        impl Eq for $name {}

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
                Some(self.cmp(other))
            }
        }

        impl Ord for $name {
            fn cmp(&self, other: &Self) -> std::cmp::Ordering {
                self.as_str().cmp(other.as_str())
            }
        }

        impl std::hash::Hash for $name {
            fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
                self.as_str().hash(state);
            }
        }

        impl std::str::FromStr for $name {
            type Err = std::convert::Infallible;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Ok(text.into())
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::Other(Box::default())
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl crate::ToValue for $name {
            fn to_value(&self) -> crate::Value {
                crate::Value::String(self.as_str().to_owned())
            }
        }

        impl<'de> serde::de::Deserialize<'de> for $name {
            fn deserialize<D: serde::de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                crate::open_enum::deserialize(deserializer)
            }
        }
    };
}

pub(crate) use open_enum;

/// Reads text as a value of an open enum.
pub(crate) fn deserialize<'de, T: for<'a> From<&'a str>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    deserializer.deserialize_str(Text(PhantomData))
}

struct Text<T>(PhantomData<T>);

impl<T: for<'a> From<&'a str>> Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        Ok(text.into())
    }
}

#[cfg(test)]
mod tests {
    use crate::classes::vm::PowerState;
    use crate::{ErrorCode, Value, wire};

    #[test]
    fn a_known_value_is_a_variant_and_an_unknown_one_keeps_its_text() {
        assert_eq!(PowerState::from("Halted"), PowerState::Halted);
        let newer = PowerState::from("Hibernated");
        assert!(!newer.is_known());
        assert_eq!(newer.as_str(), "Hibernated");
        assert_eq!(
            PowerState::from("halted"),
            PowerState::Other("halted".into()),
            "values are told apart by case"
        );
    }

    #[test]
    fn every_known_value_reads_back_from_its_text() {
        assert_eq!(ErrorCode::VALUES.len(), 605);
        assert!(
            ErrorCode::VALUES
                .iter()
                .all(|code| ErrorCode::from(code.as_str()) == *code)
        );
    }

    #[test]
    fn a_value_is_read_from_a_reply() {
        let value = Value::String("Paused".to_owned());
        assert_eq!(wire::from_value::<PowerState>(&value).ok(), Some(PowerState::Paused));
    }

    #[test]
    fn the_default_says_nothing() {
        assert_eq!(PowerState::default().as_str(), "");
        assert!(!PowerState::default().is_known());
    }

    #[test]
    fn display_pads() {
        assert_eq!(format!("{:>8}|", PowerState::Paused), "  Paused|");
    }
}
