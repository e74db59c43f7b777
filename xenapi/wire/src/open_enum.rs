//! Enums that keep a value they do not know.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, Deserializer, Visitor};

/// Makes an enum of texts: the known ones are variants, any other is kept in `Other`.
///
/// Values compare by their texts, which costs far less to compile than derived comparisons of six hundred variants.
///
/// ```
/// xenapi_wire::open_enum! {
///     /// What a machine does.
///     pub enum PowerState {
///         /// It is off.
///         Halted = "Halted",
///         /// It runs.
///         Running = "Running",
///     }
/// }
///
/// assert_eq!(PowerState::from("Running"), PowerState::Running);
/// assert_eq!(PowerState::from("Hibernated").as_str(), "Hibernated");
/// ```
#[macro_export]
macro_rules! open_enum {
    (
        $(#[$meta:meta])*
        $vis:vis enum $name:ident { $($(#[$about:meta])* $variant:ident = $text:literal,)* }
    ) => {
        $(#[$meta])*
        ///
        /// A server can send values that are newer than this crate: [`Other`](Self::Other) keeps their text. The
        /// default is `Other` with an empty text, which stands for "not said".
        #[derive(Clone, Debug)]
        #[allow(clippy::enum_variant_names)]
        #[non_exhaustive]
        $vis enum $name {
            $($(#[$about])* $variant,)*
            /// A value that this crate does not know.
            Other(Box<str>),
        }

        impl $name {
            /// The known values.
            $vis const VALUES: &'static [Self] = &[$(Self::$variant,)*];

            /// The text as it travels.
            $vis fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)*
                    Self::Other(text) => text,
                }
            }

            /// Whether this crate knows the value.
            $vis const fn is_known(&self) -> bool {
                !matches!(self, Self::Other(_))
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                match $crate::find_value(Self::VALUES, Self::as_str, text) {
                    Some(known) => known,
                    None => Self::Other(text.into()),
                }
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

        impl $crate::ToValue for $name {
            fn to_value(&self) -> $crate::Value {
                $crate::Value::String(self.as_str().to_owned())
            }
        }

        impl<'de> $crate::serde::Deserialize<'de> for $name {
            fn deserialize<D: $crate::serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::read_open_enum(deserializer)
            }
        }
    };
}

/// The one of `values` whose text is `text`, which is how an [`open_enum!`](crate::open_enum) reads what it knows.
pub fn find_value<T: Clone>(values: &[T], text_of: fn(&T) -> &str, text: &str) -> Option<T> {
    values.iter().find(|value| text_of(value) == text).cloned()
}

/// Reads text as a value of an [`open_enum!`](crate::open_enum).
///
/// # Errors
/// Where the value that comes next is no text.
pub fn read_open_enum<'de, T: for<'a> From<&'a str>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
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
    use crate::{ErrorCode, Value, from_value};

    open_enum! {
        /// What a machine does.
        enum PowerState {
            /// It is off.
            Halted = "Halted",
            /// It stands still.
            Paused = "Paused",
        }
    }

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
        assert_eq!(from_value::<PowerState>(&value).ok(), Some(PowerState::Paused));
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
