//! What an exchange that went wrong means for the call in it.

use std::time::Duration;

use crate::error::{HttpError, LostCall, Timeout};
use crate::transport::TransportError;
use crate::{Error, SecretString};

/// What a failed request means for the call or the transfer in it.
pub(crate) fn failed(method: &str, base: &http::Uri, error: TransportError) -> Error {
    match error {
        TransportError::Unreachable(reason) => {
            let host = base.authority().map(http::uri::Authority::as_str).unwrap_or_default();
            Error::Connect {
                host: host.into(),
                reason: reason.into(),
            }
        }
        TransportError::Untrusted(certificate) => Error::Untrusted(certificate),
        broken => Error::unanswered(method, broken.to_string()),
    }
}

impl Error {
    /// The failure of a message or a handler that was asked, and whose answer is not known: [`Error::Interrupted`]
    /// where it changes nothing, [`Error::Lost`] otherwise.
    pub fn unanswered(method: &str, reason: impl Into<Box<str>>) -> Self {
        let lost = Box::new(LostCall {
            method: method.into(),
            reason: reason.into(),
            task: None,
        });
        if is_read(method) {
            Self::Interrupted(lost)
        } else {
            Self::Lost(lost)
        }
    }

    /// The same of something that changes the server, whatever its name says: an upload to a handler that also answers
    /// questions.
    pub(crate) fn of_a_change(self) -> Self {
        match self {
            Self::Interrupted(lost) => Self::Lost(lost),
            other => other,
        }
    }

    /// The failure of a message or a handler whose limit has passed.
    pub fn timed_out(method: &str, after: Duration) -> Self {
        Self::Timeout(Box::new(Timeout {
            method: method.into(),
            after,
            task: None,
        }))
    }
}

/// HTTP handlers that change the server.
const CHANGING_HANDLERS: [&str; 2] = ["/import", "/host_restore"];

/// Whether sending a message twice is the same as sending it once.
pub(crate) fn is_read(method: &str) -> bool {
    if method.starts_with('/') {
        return !CHANGING_HANDLERS.iter().any(|path| method.starts_with(path));
    }
    let name = method.split_once('.').map_or(method, |(_, name)| name);
    !method.starts_with("Async.")
        && (name.starts_with("get_") || method == "event.from" || method.starts_with("system."))
        || name.starts_with("login_with_password")
        || name.starts_with("slave_local_login")
}

/// An HTTP status with what the server's little page says beside it, without the secrets that it repeats.
pub(crate) fn http_error(request: &str, status: u16, page: &[u8], secrets: &[&SecretString]) -> Error {
    let mut text = String::from_utf8_lossy(&page[..page.len().min(1 << 12)]).into_owned();
    for secret in secrets
        .iter()
        .map(|secret| secret.expose())
        .filter(|secret| !secret.is_empty())
    {
        text = text.replace(secret, "(hidden)");
    }
    let mut in_tag = false;
    let plain: String = text
        .chars()
        .filter_map(|letter| {
            let was_in_tag = in_tag;
            in_tag = letter == '<' || in_tag && letter != '>';
            match letter {
                '<' => Some(' '),
                _ => (!was_in_tag).then_some(letter),
            }
        })
        .collect();
    let detail = shortened(plain.split_whitespace());
    Error::Http(Box::new(HttpError {
        request: request.into(),
        status,
        detail: detail.into(),
    }))
}

/// As many words as fit into a line or two.
fn shortened<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let mut text = String::new();
    for word in words {
        if text.len() + word.len() > 200 {
            text.push('…');
            break;
        }
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(word);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_sent_twice_is_known() {
        for read in ["VM.get_record", "event.from", "/export", "session.login_with_password"] {
            assert!(is_read(read), "{read}");
        }
        for change in ["VM.start", "Async.VM.get_boot_record", "/import", "/import_raw_vdi"] {
            assert!(!is_read(change), "{change}");
        }
    }

    #[test]
    fn an_error_page_loses_its_tags_and_the_session() {
        let session = SecretString::new("OpaqueRef:s");
        let error = http_error("/export", 500, b"<p>no <b>OpaqueRef:s</b></p>", &[&session]);
        assert_eq!(
            error.to_string(),
            "/export was answered with HTTP status 500: no (hidden)"
        );
    }
}
