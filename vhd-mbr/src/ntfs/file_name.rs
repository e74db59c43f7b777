use super::attributes::FileAttributes;
use super::name::Name;
use super::reference::FileReference;
use super::time::FileTime;
use crate::bytes::{u32_at, u64_at};

/// Who may use a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Namespace {
    /// Any characters, upper and lower case told apart.
    Posix,
    /// Windows.
    Windows,
    /// DOS: the short name of a file that has a longer one besides.
    Dos,
    /// Windows and DOS alike.
    WindowsAndDos,
}

/// A name of a file, and the directory in which it has it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileName {
    /// The directory.
    pub parent: FileReference,
    /// The name.
    pub name: Name,
    /// Who may use it.
    pub namespace: Namespace,
}

/// What a directory keeps of a file beside its name: a copy, brought up to date when the file is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Copy {
    pub(super) modified: FileTime,
    pub(super) size: u64,
    pub(super) attributes: FileAttributes,
    /// The tag of the reparse point, where the attributes say that there is one.
    pub(super) tag: u32,
}

const NAME: usize = 66;

/// Reads a value of `$FILE_NAME`.
pub(super) fn parse(value: &[u8]) -> Result<(FileName, Copy), &'static str> {
    let length = usize::from(*value.get(64).ok_or("a file name is cut off")?);
    let name = value
        .get(NAME..NAME + 2 * length)
        .ok_or("a file name is longer than its attribute")?;
    let namespace = match value[65] {
        0 => Namespace::Posix,
        1 => Namespace::Windows,
        2 => Namespace::Dos,
        3 => Namespace::WindowsAndDos,
        _ => return Err("a file name is of an unknown namespace"),
    };
    let name = FileName {
        parent: FileReference::from_raw(u64_at(value, 0)),
        name: Name::from_bytes(name),
        namespace,
    };
    let copy = Copy {
        modified: FileTime(u64_at(value, 16)),
        size: u64_at(value, 48),
        attributes: FileAttributes(u32_at(value, 56)),
        tag: u32_at(value, 60),
    };
    Ok((name, copy))
}
