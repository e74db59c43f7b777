use std::io::{self, ErrorKind};

use serial_link_protocol::{Failure, FailureKind, Reply};

/// Says what was tried and what the system said.
pub(crate) fn failed(tried: impl std::fmt::Display, error: &io::Error) -> Reply {
    let kind = match error.kind() {
        ErrorKind::NotFound => FailureKind::NotFound,
        ErrorKind::PermissionDenied => FailureKind::Denied,
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => FailureKind::NoSpace,
        _ => FailureKind::System,
    };
    refused(kind, format!("{tried}: {error}"))
}

pub(crate) fn refused(kind: FailureKind, message: impl Into<String>) -> Reply {
    Reply::Failed(Failure::new(kind, message))
}
