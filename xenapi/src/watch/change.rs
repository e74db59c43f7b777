//! What a watch tells.

use std::fmt;

use crate::{AnyRecord, Class, Object, Record, Ref};

/// One thing that a watch tells.
///
/// A watch begins with a full list, between [`Init`](Change::Init) and [`InitDone`](Change::InitDone), and lists
/// everything anew where it cannot know what it missed. Applying every `Apply` and `Delete` keeps a copy right: what
/// went away in between is deleted before `InitDone`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Change {
    /// A full list begins.
    Init,
    /// An object is there and has this record: it is new, or has changed.
    Apply {
        /// Which object.
        reference: AnyRef,
        /// All its fields; [`AnyRecord::Other`] for a class that this crate does not know, and where the record is not
        /// what the datamodel promises.
        record: AnyRecord,
    },
    /// An object is gone.
    Delete(AnyRef),
    /// The list is complete: what was told is what the pool has.
    InitDone,
}

/// A reference whose class is known only at run time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AnyRef {
    class: Class,
    text: Box<str>,
}

impl AnyRef {
    pub(crate) fn new(class: Class, text: Box<str>) -> Self {
        Self { class, text }
    }

    /// The object's class.
    pub fn class(&self) -> &Class {
        &self.class
    }

    /// The reference's text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The reference, where the object is of class `T`.
    pub fn typed<T: Object>(&self) -> Option<Ref<T>> {
        let is_same = self.class.as_str() == <T::Record as Record>::CLASS;
        is_same.then(|| self.text.parse().ok()).flatten()
    }
}

impl fmt::Display for AnyRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.class.as_str(), self.text)
    }
}
