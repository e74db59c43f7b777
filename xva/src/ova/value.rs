//! Values as ova.xml holds them.

use std::fmt;

/// A value of `ova.xml`.
///
/// xapi writes numbers without a type, so scalars stay text and the reader of a field decides what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Value {
    /// A scalar: text, number, boolean (`0` or `1`), date or reference.
    Text(String),
    /// A scalar that must not be shown, such as the content of a virtual TPM.
    Secret(Secret),
    /// A record or a map, in the order of the file.
    Struct(Vec<(String, Self)>),
    /// A set or a list.
    Array(Vec<Self>),
    /// Nothing.
    Nil,
}

impl Value {
    /// The text of a scalar that is no secret.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A whole number.
    pub fn as_i64(&self) -> Option<i64> {
        self.as_str()?.trim().parse().ok()
    }

    /// A truth value.
    pub fn as_bool(&self) -> Option<bool> {
        match self.as_str()?.trim() {
            "1" | "true" => Some(true),
            "0" | "false" => Some(false),
            _ => None,
        }
    }

    /// The member of a struct with this name.
    pub fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Struct(members) => members.iter().find(|(key, _)| key == name).map(|(_, value)| value),
            _ => None,
        }
    }

    /// Takes the text of a scalar out.
    pub(super) fn into_text(self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Hides every scalar in here.
    pub(super) fn conceal(self) -> Self {
        match self {
            Self::Text(text) => Self::Secret(Secret(text)),
            Self::Struct(members) => Self::Struct(members.into_iter().map(|(k, v)| (k, v.conceal())).collect()),
            Self::Array(items) => Self::Array(items.into_iter().map(Self::conceal).collect()),
            value @ (Self::Secret(_) | Self::Nil) => value,
        }
    }
}

/// Text that does not print.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text. Keep it out of logs.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Whether a text is a MAC address as servers write it.
pub(crate) fn is_mac(text: &str) -> bool {
    let octet = |octet: &str| octet.len() == 2 && octet.bytes().all(|b| b.is_ascii_hexdigit());
    text.split(':').count() == 6 && text.split(':').all(octet)
}
