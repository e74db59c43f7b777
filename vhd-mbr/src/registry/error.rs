use std::io;

use xen_disk::ReadAt;

/// Why a hive, or something in it, cannot be read or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes could not be read.
    #[error("cannot read {len} bytes at byte {offset} of the hive")]
    Read {
        /// Where they are in the file.
        offset: u64,
        /// How many there are.
        len: u64,
        /// Why.
        source: io::Error,
    },
    /// The file is none.
    #[error("this is not a registry hive: it does not start with \"regf\"")]
    NotHive,
    /// The hive is of a kind that is not known.
    #[error("the hive is of version {major}.{minor}, and only 1.2 to 1.6 are known")]
    Version {
        /// Its major version.
        major: u32,
        /// Its minor version.
        minor: u32,
    },
    /// Something in the hive contradicts itself.
    #[error("the hive is damaged at byte {offset}: {what}")]
    Damaged {
        /// Where it is in the file.
        offset: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// There is no such key.
    #[error("there is no key {name:?} in {within:?}")]
    NoKey {
        /// The first name of the path that was not found.
        name: String,
        /// Where it was looked for.
        within: String,
    },
    /// The key has no such value.
    #[error("the key {key:?} has no value {name:?}")]
    NoValue {
        /// The name that was looked for.
        name: String,
        /// The key.
        key: String,
    },
    /// The value is of another type.
    #[error("the value {name:?} is {found}, not {wanted}")]
    Type {
        /// The value's name.
        name: String,
        /// What it is.
        found: String,
        /// What was wanted.
        wanted: &'static str,
    },
    /// Windows has changes in its log that it writes into the hive when it starts, maybe over these bytes.
    #[error(
        "the hive was not written out when Windows stopped: it would write its log over a change. Start Windows once and \
         shut it down in an orderly way"
    )]
    Dirty,
    /// The change does not fit where the value's data is.
    #[error("{len} bytes do not fit in the {room} that the value {name:?} has in the hive, which is not made longer")]
    NoRoom {
        /// The value's name.
        name: String,
        /// How many bytes there are for its data.
        room: u64,
        /// How many were to be put there.
        len: u64,
    },
    /// What is to be switched on is not in the hive at all, and only Windows itself can put it there.
    #[error("the boot configuration lacks {what}; in Windows, run: {command}")]
    NotThere {
        /// What is missing.
        what: String,
        /// What makes it.
        command: String,
    },
}

pub(super) fn read(source: &(impl ReadAt + ?Sized), offset: u64, len: u64) -> Result<Vec<u8>, Error> {
    let mut bytes = vec![0; len as usize];
    match source.read_exact_at(offset, &mut bytes) {
        Ok(()) => Ok(bytes),
        Err(source) => Err(Error::Read { offset, len, source }),
    }
}
