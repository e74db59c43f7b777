//! What the generated classes are made of: handles, collections, and the reading of records.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, MapAccess, Visitor};

use crate::{Call, Client, Map, Object, Record, Ref, TaskCall, Value};

/// Makes the handle of a class and the method of [`Client`](crate::Client) that returns it.
macro_rules! handle {
    ($(#[$meta:meta])* $handle:ident: $record:ident, $accessor:ident $(, $secret:ident)?) => {
        $(#[$meta])*
        #[derive(Clone)]
        pub struct $handle {
            pub(crate) client: crate::Client,
            pub(crate) reference: crate::Ref<Self>,
        }

        impl $handle {
            /// The reference of this object.
            pub const fn reference(&self) -> crate::Ref<Self> {
                self.reference
            }

            #[allow(dead_code, reason = "some classes have messages of one kind only")]
            fn begin<T>(&self, method: &'static str) -> crate::Call<T> {
                crate::handle::begin(&self.client, self.reference, method)
            }

            #[allow(dead_code, reason = "some classes have messages of one kind only")]
            fn begin_task<T>(&self, method: &'static str) -> crate::TaskCall<T> {
                crate::handle::begin_task(&self.client, self.reference, method)
            }

            /// The connection that its messages go through.
            pub const fn client(&self) -> &crate::Client {
                &self.client
            }
        }

        impl std::fmt::Debug for $handle {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                crate::handle::debug(f, stringify!($handle), &self.reference)
            }
        }

        impl crate::Object for $handle {
            type Record = $record;

            $(const SECRET_REF: bool = stringify!($secret).len() > 0;)?
        }

        impl crate::Client {
            #[doc = concat!("A handle of one [`", stringify!($handle), "`](crate::", stringify!($handle), "); sends nothing.")]
            pub fn $accessor(&self, reference: crate::Ref<$handle>) -> $handle {
                $handle { client: self.clone(), reference }
            }
        }
    };
}

/// Makes the collection of a class and the method of [`Client`](crate::Client) that returns it.
macro_rules! collection {
    ($(#[$meta:meta])* $collection:ident, $accessor:ident) => {
        $(#[$meta])*
        #[derive(Clone)]
        pub struct $collection {
            pub(crate) client: crate::Client,
        }

        impl $collection {
            #[allow(dead_code, reason = "some classes have messages of one kind only")]
            fn begin<T>(&self, method: &'static str) -> crate::Call<T> {
                crate::Call::new(self.client.connection(), method)
            }

            #[allow(dead_code, reason = "some classes have messages of one kind only")]
            fn begin_task<T>(&self, method: &'static str) -> crate::TaskCall<T> {
                crate::TaskCall::new(self.client.connection(), method)
            }
        }

        impl std::fmt::Debug for $collection {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($collection), " { .. }"))
            }
        }

        impl crate::Client {
            #[doc = concat!("The [`", stringify!($collection), "`](crate::", stringify!($collection), ") of the pool; sends nothing.")]
            pub fn $accessor(&self) -> $collection {
                $collection { client: self.clone() }
            }
        }
    };
}

pub(crate) use {collection, handle};

/// How a handle shows itself: its class and its reference, not the connection.
pub(crate) fn debug(f: &mut fmt::Formatter<'_>, class: &str, reference: &dyn fmt::Debug) -> fmt::Result {
    f.debug_tuple(class).field(reference).finish()
}

/// A call whose first argument is an object.
pub(crate) fn begin<T, O: Object>(client: &Client, object: Ref<O>, method: &'static str) -> Call<T> {
    let call = Call::new(client.connection(), method);
    if O::SECRET_REF {
        call.secret_arg(object)
    } else {
        call.arg(object)
    }
}

/// A call whose first argument is an object, and which can run as a task.
pub(crate) fn begin_task<T, O: Object>(client: &Client, object: Ref<O>, method: &'static str) -> TaskCall<T> {
    let call = TaskCall::new(client.connection(), method);
    if O::SECRET_REF {
        call.secret_arg(object)
    } else {
        call.arg(object)
    }
}

/// The optional arguments to send: all up to the last that differs from what the server would take anyway.
pub(crate) fn up_to_last_changed(mut values: Vec<Value>, defaults: &[Value]) -> Vec<Value> {
    let changed = values
        .iter()
        .zip(defaults)
        .rposition(|(value, default)| value != default);
    values.truncate(changed.map_or(0, |last| last + 1));
    values
}

/// A struct as it travels.
pub(crate) fn members(members: Vec<(&str, Value)>) -> Value {
    Value::Struct(
        members
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
    )
}

/// Reads the value that comes next into a field.
pub(crate) fn next_into<'de, T: Deserialize<'de>, A: MapAccess<'de>>(
    field: &mut T,
    members: &mut A,
) -> Result<(), A::Error> {
    *field = members.next_value()?;
    Ok(())
}

/// How a generated record takes the members of a reply.
pub(crate) trait ReadFields: Record {
    /// Reads the value that comes next into the field at this place of [`Record::FIELDS`].
    fn read<'de, A: MapAccess<'de>>(&mut self, place: usize, members: &mut A) -> Result<(), A::Error>;

    /// Where the others go.
    fn unknown(&mut self) -> &mut Map<String, Value>;
}

/// Reads a record: absent fields keep their defaults, unknown members are kept as they came.
pub(crate) fn deserialize_record<'de, R: ReadFields, D: Deserializer<'de>>(deserializer: D) -> Result<R, D::Error> {
    deserializer.deserialize_map(Members(PhantomData))
}

struct Members<R>(PhantomData<R>);

impl<'de, R: ReadFields> Visitor<'de> for Members<R> {
    type Value = R;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the record of a {}", R::CLASS)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<R, A::Error> {
        let mut record = R::default();
        let mut likely = 0;
        while let Some(member) = members.next_key_seed(Name {
            fields: R::FIELDS,
            likely,
        })? {
            match member {
                Ok(place) => {
                    record.read(place, &mut members)?;
                    likely = place + 1;
                }
                Err(name) => {
                    let value = members.next_value()?;
                    record.unknown().insert(name, value);
                }
            }
        }
        Ok(record)
    }
}

/// Finds a member's name among the fields. Servers send them in the datamodel's order, so the search starts behind the
/// field that came last and nearly always ends there.
struct Name {
    fields: &'static [&'static str],
    likely: usize,
}

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Result<usize, String>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name {
    type Value = Result<usize, String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Self::Value, E> {
        let (before, after) = self.fields.split_at(self.likely.min(self.fields.len()));
        let found = |fields: &[&str]| fields.iter().position(|field| *field == name);
        let place = found(after).map(|place| before.len() + place).or_else(|| found(before));
        Ok(place.ok_or_else(|| name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::up_to_last_changed;
    use crate::{Record, Ref, Session, ToValue, Value, VbdRecord, Vm, VmRecord, wire};

    fn reply(members: &[(&str, Value)]) -> Value {
        Value::Struct(
            members
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.clone()))
                .collect(),
        )
    }

    #[test]
    fn fields_are_found_in_any_order_and_absent_ones_have_their_defaults() {
        let value = reply(&[
            ("VCPUs_max", 4.to_value()),
            ("uuid", "a".to_value()),
            ("name_label", "b".to_value()),
        ]);
        let record: VmRecord = wire::from_value(&value).unwrap();
        assert_eq!(
            (record.vcpus_max, record.uuid.as_str(), record.name_label.as_str()),
            (4, "a", "b")
        );
        assert_eq!(record.hvm_shadow_multiplier, 1.0, "the datamodel's default");
        assert!(record.unknown_fields().is_empty());
    }

    #[test]
    fn a_member_of_a_newer_server_is_kept() {
        let record: VmRecord = wire::from_value(&reply(&[("flavour", "mint".to_value())])).unwrap();
        assert_eq!(
            record.unknown_fields().get("flavour").and_then(Value::as_str),
            Some("mint")
        );
    }

    #[test]
    fn a_record_to_create_holds_only_what_may_be_given() {
        let value = VbdRecord::default().to_value();
        assert!(value.get("userdevice").is_some() && value.get("VM").is_some());
        assert!(value.get("uuid").is_none() && value.get("currently_attached").is_some());
    }

    #[test]
    fn optional_arguments_end_with_the_last_that_was_changed() {
        let defaults = [Value::Int(0), Value::Bool(false), Value::Int(0)];
        let send = |values: [Value; 3]| up_to_last_changed(values.to_vec(), &defaults).len();
        assert_eq!(send([Value::Int(0), Value::Bool(false), Value::Int(0)]), 0);
        assert_eq!(send([Value::Int(0), Value::Bool(true), Value::Int(0)]), 2);
        assert_eq!(send([Value::Int(0), Value::Bool(false), Value::Int(1)]), 3);
    }

    #[test]
    fn a_reference_prints_its_text_but_not_a_session() {
        const TEXT: &str = "OpaqueRef:5b1dd2c3-8b1e-4a5c-9f3e-0a1b2c3d4e5f";
        let vm: Ref<Vm> = TEXT.parse().unwrap();
        assert_eq!(
            (size_of_val(&vm), format!("{vm} {vm:?}")),
            (16, format!("{TEXT} {TEXT}"))
        );
        let session: Ref<Session> = TEXT.parse().unwrap();
        assert_eq!(
            format!("{session} {session:?}"),
            "OpaqueRef:(hidden) OpaqueRef:(hidden)"
        );
    }
}
