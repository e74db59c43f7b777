use super::{Kind, Message, WireError};

/// Why xenstore refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// ENOENT
    #[error("there is no such path")]
    Absent,
    /// EACCES
    #[error("it is not permitted")]
    Forbidden,
    /// EAGAIN: another changed what the transaction has read.
    #[error("another was faster; the transaction has to be made again")]
    Again,
    /// EQUOTA
    #[error("the domain has as many nodes, watches or transactions as it may")]
    Quota,
    /// E2BIG
    #[error("it is too long")]
    TooLong,
    /// Any other, by its name.
    #[error("xenstore says {0}")]
    Other(String),
}

/// The reason, of a message that is one.
pub fn refusal(message: &Message) -> Option<Refusal> {
    if message.kind != Kind::Error {
        return None;
    }
    Some(match text(&message.payload) {
        Some("ENOENT") => Refusal::Absent,
        Some("EACCES") => Refusal::Forbidden,
        Some("EAGAIN") => Refusal::Again,
        Some("EQUOTA" | "ENOSPC") => Refusal::Quota,
        Some("E2BIG") => Refusal::TooLong,
        _ => Refusal::Other(String::from_utf8_lossy(&message.payload).chars().take(200).collect()),
    })
}

/// The names in the answer to a [list](super::Request::list).
pub fn names(message: &Message) -> Result<Vec<String>, WireError> {
    let names = message.payload.split(|&byte| byte == 0).filter(|name| !name.is_empty());
    let name = |name: &[u8]| {
        std::str::from_utf8(name)
            .ok()
            .map(str::to_owned)
            .ok_or_else(|| message.odd())
    };
    names.map(name).collect()
}

/// The number in the answer to the [start of a transaction](super::Request::start_transaction).
pub fn transaction(message: &Message) -> Result<u32, WireError> {
    let number = text(&message.payload).and_then(|text| text.parse().ok());
    number.filter(|number| *number != 0).ok_or_else(|| message.odd())
}

/// What has changed, and the token of the watch, of a message that tells a change.
pub fn event(message: &Message) -> Result<(String, String), WireError> {
    let mut parts = message.payload.split(|&byte| byte == 0).map(std::str::from_utf8);
    match (parts.next(), parts.next()) {
        (Some(Ok(path)), Some(Ok(token))) => Ok((path.into(), token.into())),
        _ => Err(message.odd()),
    }
}

fn text(payload: &[u8]) -> Option<&str> {
    std::str::from_utf8(payload.strip_suffix(b"\0").unwrap_or(payload)).ok()
}
