//! What can go wrong while metadata is changed or an archive is copied.

use std::io;

use crate::Error;
use crate::ova::OvaError;

/// Why metadata could not be changed, or an archive not be copied. Values are never quoted, for they can be secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// The metadata cannot be understood.
    #[error("cannot read ova.xml")]
    Ova(#[from] OvaError),
    /// There is no such object.
    #[error("ova.xml has no {class} called {id}; it has {known:?}")]
    NoObject {
        /// Class that was asked for.
        class: String,
        /// Id that was asked for.
        id: String,
        /// Ids of the objects of that class.
        known: Vec<String>,
    },
    /// An object has no such field.
    #[error("{class} {id} has no field {field}")]
    NoField {
        /// The object's class.
        class: String,
        /// The object's id.
        id: String,
        /// Field that was asked for.
        field: String,
    },
    /// A map has no such entry.
    #[error("the map {field} of {class} {id} has no entry {key}")]
    NoEntry {
        /// The object's class.
        class: String,
        /// The object's id.
        id: String,
        /// The map.
        field: String,
        /// Key that was asked for.
        key: String,
    },
    /// A field is of another shape.
    #[error("{field} of {class} {id} is no {expected}")]
    WrongShape {
        /// The object's class.
        class: String,
        /// The object's id.
        id: String,
        /// The field, and the key where it is an entry of a map.
        field: String,
        /// What was expected of it.
        expected: &'static str,
    },
    /// A field cannot take a value.
    #[error("the value for {field} of {class} {id} is no {expected}")]
    BadValue {
        /// The object's class.
        class: String,
        /// The object's id.
        id: String,
        /// The field, and the key where it is an entry of a map.
        field: String,
        /// What the value should be.
        expected: &'static str,
    },
    /// The archive cannot be read.
    #[error("cannot read the archive to copy")]
    Archive(#[from] Error),
    /// The archive has no metadata.
    #[error("the archive holds no ova.xml")]
    NoMetadata,
    /// The new metadata would no longer fit the disks in the archive.
    #[error("the new ova.xml does not have the archive's disks: ids and virtual_size of its disks must stay")]
    OtherDisks,
    /// The archive has attributes for all its entries, which a new entry would inherit.
    #[error("the archive has a pax header for all entries; unpack it and write it anew")]
    GlobalAttributes,
    /// The metadata is longer than a plain tar entry can be.
    #[error("ova.xml has {size} bytes, more than a tar entry of an XVA can hold")]
    MetadataTooLong {
        /// Its length in bytes.
        size: u64,
    },
    /// The output failed.
    #[error("cannot write the archive after {written} bytes")]
    Output {
        /// Bytes of the archive written before.
        written: u64,
        /// What the output said.
        source: io::Error,
    },
}
