//! One reply of `event.from`.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};

use crate::enums::event::EventOperation;
use crate::{DecodeError, Map, Record, Value, from_value};

/// What changed, up to a token.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct EventBatch {
    /// The changes: additions first, then modifications, then deletions. Several changes of one object are one event.
    pub events: Vec<Event>,
    /// Where the next call goes on.
    pub token: String,
    /// How many objects of each class (in lower case) the pool has, of all classes: a client that keeps all of a
    /// class finds out here that it missed a deletion.
    pub valid_ref_counts: Map<String, i64>,
}

/// A change of one object.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Event {
    /// A number that grows with the database, as text; `0` for messages.
    pub id: String,
    /// The class's name in lower case, for example `vm_guest_metrics`.
    pub class: String,
    /// Whether the object was added, modified or deleted.
    pub operation: EventOperation,
    /// The object's reference as text, since its class is known only at run time.
    pub reference: String,
    /// The whole record; absent for a deletion, and for an object that was gone before it could be read.
    pub snapshot: Option<Value>,
}

impl Event {
    /// The snapshot as the record of its class; `None` where there is none or the class is another one.
    ///
    /// # Errors
    /// Where the snapshot is not what the datamodel promises.
    pub fn record<R: Record>(&self) -> Result<Option<R>, DecodeError> {
        match &self.snapshot {
            Some(snapshot) if self.class.eq_ignore_ascii_case(R::CLASS) => from_value(snapshot).map(Some),
            _ => Ok(None),
        }
    }
}

impl<'de> Deserialize<'de> for EventBatch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = EventBatch;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an event batch")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<EventBatch, A::Error> {
                let mut batch = EventBatch::default();
                while let Some(name) = members.next_key::<std::borrow::Cow<'_, str>>()? {
                    match &*name {
                        "events" => batch.events = members.next_value()?,
                        "token" => batch.token = members.next_value()?,
                        "valid_ref_counts" => batch.valid_ref_counts = members.next_value()?,
                        _ => drop(members.next_value::<IgnoredAny>()?),
                    }
                }
                Ok(batch)
            }
        }
        deserializer.deserialize_map(Members)
    }
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Event;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an event")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Event, A::Error> {
                let mut event = Event::default();
                while let Some(name) = members.next_key::<std::borrow::Cow<'_, str>>()? {
                    match &*name {
                        "id" => event.id = members.next_value::<Value>()?.as_str().unwrap_or_default().to_owned(),
                        "class" => event.class = members.next_value()?,
                        "operation" => event.operation = members.next_value()?,
                        "ref" => event.reference = members.next_value()?,
                        "snapshot" => event.snapshot = members.next_value::<Value>().map(Some)?,
                        _ => drop(members.next_value::<IgnoredAny>()?),
                    }
                }
                Ok(event)
            }
        }
        deserializer.deserialize_map(Members)
    }
}
