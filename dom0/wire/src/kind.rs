/// What a message asks or tells; the numbers are those of Xen's `io/xs_wire.h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// The names below a path.
    Directory,
    /// A value.
    Read,
    /// Who may do what.
    GetPermissions,
    /// Changes are to be told.
    Watch,
    /// They are not, any more.
    Unwatch,
    /// A transaction begins.
    TransactionStart,
    /// It ends.
    TransactionEnd,
    /// A value is set.
    Write,
    /// An empty value is made, if there is none.
    MakeFolder,
    /// A path is removed, and what is below it.
    Remove,
    /// Something has changed. Only the server tells this.
    WatchEvent,
    /// Something was refused. Only the server tells this.
    Error,
    /// Any other.
    Other(u32),
}

const NUMBERS: [(Kind, u32); 12] = [
    (Kind::Directory, 1),
    (Kind::Read, 2),
    (Kind::GetPermissions, 3),
    (Kind::Watch, 4),
    (Kind::Unwatch, 5),
    (Kind::TransactionStart, 6),
    (Kind::TransactionEnd, 7),
    (Kind::Write, 11),
    (Kind::MakeFolder, 12),
    (Kind::Remove, 13),
    (Kind::WatchEvent, 15),
    (Kind::Error, 16),
];

impl From<u32> for Kind {
    fn from(number: u32) -> Self {
        let known = NUMBERS.iter().find(|(_, known)| *known == number);
        known.map_or(Self::Other(number), |(kind, _)| *kind)
    }
}

impl From<Kind> for u32 {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Other(number) => number,
            kind => NUMBERS
                .iter()
                .find(|(known, _)| *known == kind)
                .map_or(0, |(_, number)| *number),
        }
    }
}
