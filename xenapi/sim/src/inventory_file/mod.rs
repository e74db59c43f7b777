//! A pool as a file of JSON.

mod disks;
mod load;
mod save;

use std::io;
use std::path::PathBuf;

pub(crate) use self::load::load;
pub(crate) use self::save::save;
use crate::datamodel::Field;
use crate::relations::RELATIONS;
use crate::schema::ClassInfo;

/// What the file says it is.
const FORMAT: &str = "xenapi-sim inventory 1";

/// Why an inventory could not be saved or loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InventoryError {
    /// A file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is no JSON.
    #[error("{} is no JSON: {reason}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What is wrong, with its line and column.
        reason: String,
    },
    /// A file is JSON and no inventory.
    #[error("{} is no inventory of a pool: {place}: {reason}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// Where in the file.
        place: String,
        /// What is wrong there.
        reason: String,
    },
}

/// Whether a class is kept only while the toolstack runs.
fn is_volatile(info: &ClassInfo) -> bool {
    matches!(info.name(), "session" | "task")
}

/// Whether a field is left out: because it follows from others, belongs to a moment, or is a secret.
fn is_omitted(info: &ClassInfo, field: &Field) -> bool {
    let mirrors = RELATIONS
        .iter()
        .any(|relation| relation.target == info.name() && relation.set == field.name);
    let secret = field.secret || (info.name(), field.name) == ("secret", "value");
    mirrors || secret || field.name == "current_operations"
}

/// Whether an entry of a map is a password. Names that end with `_secret` are of UUIDs of secrets.
fn is_password(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    (key.contains("password") || key.contains("passphrase")) && !key.ends_with("_secret")
}
