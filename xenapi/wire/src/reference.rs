//! References to objects of a pool.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::str::FromStr;
use std::sync::{LazyLock, RwLock};

use serde::de::{self, Deserialize, Deserializer, Visitor};

use crate::{Object, ToValue, Value};

/// A reference to an object of class `T`, for example `Ref<Vm>`.
///
/// A reference is a pool's own name for an object (`OpaqueRef:` and a UUID that is *not* the object's `uuid` field).
/// It stays valid as long as the object lives, and differs in a restored or upgraded pool database: to name an
/// object for longer, keep its UUID.
///
/// It is `Copy`, 16 bytes, and cannot be passed where a reference to another class is wanted:
///
/// ```compile_fail
/// # use xenapi_wire::Ref;
/// # enum Vm {}
/// # enum Vdi {}
/// let vm: Ref<Vm> = Ref::NULL;
/// let disk: Ref<Vdi> = vm;
/// ```
///
/// A field that refers to nothing holds [`Ref::NULL`], which prints as `OpaqueRef:NULL`.
pub struct Ref<T> {
    id: u128,
    class: PhantomData<fn() -> T>,
}

const PREFIX: &str = "OpaqueRef:";
const NULL: &str = "OpaqueRef:NULL";
/// The upper half of an id that stands for an interned text: no random UUID has it, since its version would be 15.
const ODD: u128 = (u64::MAX as u128) << 64;

impl<T> Ref<T> {
    /// The reference to nothing, `OpaqueRef:NULL`.
    pub const NULL: Self = Self {
        id: 0,
        class: PhantomData,
    };

    /// Whether this refers to nothing.
    ///
    /// ```
    /// # use xenapi_wire::{Ref, RefError};
    /// # enum Vm {}
    /// assert!(Ref::<Vm>::NULL.is_null());
    /// assert!("".parse::<Ref<Vm>>()?.is_null());
    /// # Ok::<(), RefError>(())
    /// ```
    pub const fn is_null(&self) -> bool {
        self.id == 0
    }

    /// `None` for [`Ref::NULL`], so that `?` and `if let` work on fields that may refer to nothing.
    pub fn non_null(self) -> Option<Self> {
        (!self.is_null()).then_some(self)
    }

    /// The same reference as one to an object of class `U`, for code that knows the class better than the type does.
    /// Nothing is checked: the server refuses a reference of the wrong class.
    pub const fn cast<U>(self) -> Ref<U> {
        Ref {
            id: self.id,
            class: PhantomData,
        }
    }

    /// The text of the reference as the server knows it. Unlike `Display` it never hides anything: the reference of
    /// a session is a password in all but name.
    pub fn to_wire(&self) -> String {
        if self.is_null() {
            NULL.to_owned()
        } else if self.id & ODD == ODD {
            odd().text(self.id as u64).to_owned()
        } else {
            format!("{PREFIX}{}", Uuid(self.id))
        }
    }
}

/// Why a text is not taken as a reference.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the reference {text:?} has no usual form (OpaqueRef: and a UUID), and this process already holds {held} such \
     references, the most it keeps"
)]
pub struct RefError {
    text: String,
    held: usize,
}

impl<T> FromStr for Ref<T> {
    type Err = RefError;

    /// Takes any text: `OpaqueRef:` with a lower-case UUID costs nothing, other forms (old servers, dummy tasks) are
    /// kept in a table of limited size.
    fn from_str(text: &str) -> Result<Self, RefError> {
        let id = if text.is_empty() || text == NULL {
            0
        } else if let Some(id) = text
            .strip_prefix(PREFIX)
            .and_then(Uuid::parse)
            .filter(|&id| id != 0 && id & ODD != ODD)
        {
            id
        } else {
            ODD | u128::from(odd().intern(text)?)
        };
        Ok(Self { id, class: PhantomData })
    }
}

/// A UUID in lower case, the only form that reads back to the same text.
struct Uuid(u128);

impl Uuid {
    fn parse(text: &str) -> Option<u128> {
        let bytes = text.as_bytes();
        if bytes.len() != 36 {
            return None;
        }
        bytes
            .iter()
            .enumerate()
            .try_fold(0u128, |id, (place, &byte)| match (place, byte) {
                (8 | 13 | 18 | 23, b'-') => Some(id),
                (8 | 13 | 18 | 23, _) => None,
                (_, b'0'..=b'9') => Some(id << 4 | u128::from(byte - b'0')),
                (_, b'a'..=b'f') => Some(id << 4 | u128::from(byte - b'a' + 10)),
                _ => None,
            })
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.0;
        write!(
            f,
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            id >> 96,
            id >> 80 & 0xffff,
            id >> 64 & 0xffff,
            id >> 48 & 0xffff,
            id & 0xffff_ffff_ffff
        )
    }
}

/// The texts of references that are no UUID, kept for the life of the process and therefore bounded.
#[derive(Default)]
struct OddRefs {
    known: RwLock<(Vec<&'static str>, HashMap<&'static str, u64>)>,
}

fn odd() -> &'static OddRefs {
    static ODD_REFS: LazyLock<OddRefs> = LazyLock::new(OddRefs::default);
    &ODD_REFS
}

impl OddRefs {
    const MOST: usize = 1 << 16;
    const LONGEST: usize = 1 << 10;

    fn intern(&self, text: &str) -> Result<u64, RefError> {
        let lookup = |known: &HashMap<&'static str, u64>| known.get(text).copied();
        if let Some(index) = lookup(&self.known.read().unwrap_or_else(|poison| poison.into_inner()).1) {
            return Ok(index);
        }
        let mut known = self.known.write().unwrap_or_else(|poison| poison.into_inner());
        if let Some(index) = lookup(&known.1) {
            return Ok(index);
        }
        let held = known.0.len();
        if held >= Self::MOST || text.len() > Self::LONGEST {
            return Err(RefError {
                text: text.chars().take(80).collect(),
                held,
            });
        }
        let index = held as u64;
        let kept: &'static str = Box::leak(text.into());
        known.0.push(kept);
        known.1.insert(kept, index);
        Ok(index)
    }

    fn text(&self, index: u64) -> &'static str {
        let known = self.known.read().unwrap_or_else(|poison| poison.into_inner());
        usize::try_from(index)
            .ok()
            .and_then(|index| known.0.get(index).copied())
            .unwrap_or(NULL)
    }
}

impl<T: Object> fmt::Display for Ref<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if T::SECRET_REF && !self.is_null() {
            f.write_str("OpaqueRef:(hidden)")
        } else {
            f.write_str(&self.to_wire())
        }
    }
}

impl<T: Object> fmt::Debug for Ref<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<T> Copy for Ref<T> {}

impl<T> Clone for Ref<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Default for Ref<T> {
    fn default() -> Self {
        Self::NULL
    }
}

impl<T> PartialEq for Ref<T> {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl<T> Eq for Ref<T> {}

impl<T> PartialOrd for Ref<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Ref<T> {
    /// An order for maps and binary search; it has no meaning on the server.
    fn cmp(&self, other: &Self) -> Ordering {
        self.id.cmp(&other.id)
    }
}

impl<T> Hash for Ref<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}

impl<T> ToValue for Ref<T> {
    fn to_value(&self) -> Value {
        Value::String(self.to_wire())
    }
}

impl<'de, T> Deserialize<'de> for Ref<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text<T>(PhantomData<fn() -> T>);
        impl<T> Visitor<'_> for Text<T> {
            type Value = Ref<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a reference")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Ref<T>, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Text(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    enum Vm {}

    #[test]
    fn every_text_comes_back_as_it_was() {
        for text in [
            "OpaqueRef:5b1dd2c3-8b1e-4a5c-9f3e-0a1b2c3d4e5f",
            "OpaqueRef:NULL",
            "OpaqueRef:5B1DD2C3-8B1E-4A5C-9F3E-0A1B2C3D4E5F",
            "OpaqueRef:00000000-0000-0000-0000-000000000000",
            "OpaqueRef:ffffffff-ffff-ffff-0000-000000000001",
            "DummyRef:|b15b2f6c-0000-0000-0000-000000000000|task.cancel",
            "Ref:12",
            "é",
        ] {
            assert_eq!(text.parse::<Ref<Vm>>().unwrap().to_wire(), text);
        }
    }

    #[test]
    fn an_absurd_reference_is_refused() {
        let error = "x".repeat(5000).parse::<Ref<Vm>>().err().unwrap();
        assert!(error.to_string().len() < 300, "{error}");
    }
}
