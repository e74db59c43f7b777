//! The HTTP request for a handler.

use std::borrow::Cow;

use super::Handler;
use crate::wire::Ref;
use crate::{Connection, Error, Result, TaskClass};

impl Handler {
    /// The session travels in a cookie, so that no address holds it.
    pub(super) fn request<B>(
        &self,
        connection: &Connection,
        base: &http::Uri,
        task: Option<Ref<TaskClass>>,
        body: B,
        length: Option<u64>,
    ) -> Result<http::Request<B>> {
        let unsendable = |error: http::Error| Error::Unsendable {
            method: self.path.into(),
            reason: error.to_string().into(),
        };
        let task = task.map(|task| (Cow::Borrowed("task_id"), task.to_wire()));
        let query = task.iter().chain(&self.query);
        let query: Vec<_> = query
            .map(|(name, value)| format!("{name}={}", percent(value)))
            .collect();
        let authority = base.authority().map(http::uri::Authority::as_str).unwrap_or_default();
        let uri = http::Uri::builder()
            .scheme(base.scheme_str().unwrap_or("https"))
            .authority(authority)
            .path_and_query(format!("{}?{}", self.path, query.join("&")));
        let cookie = format!(
            "session_id={}",
            percent(connection.current_session().reference.expose())
        );
        let mut cookie = http::HeaderValue::try_from(cookie).map_err(|error| unsendable(error.into()))?;
        cookie.set_sensitive(true);
        let mut request = connection
            .trace(http::Request::builder())
            .method(if length.is_some() {
                http::Method::PUT
            } else {
                http::Method::GET
            })
            .uri(uri.build().map_err(unsendable)?)
            .header(http::header::COOKIE, cookie)
            .header(http::header::USER_AGENT, connection.user_agent());
        if let Some(length) = length {
            request = request.header(http::header::CONTENT_LENGTH, length);
        }
        request.body(body).map_err(unsendable)
    }
}

/// Percent-encodes all but the unreserved characters of RFC 3986.
fn percent(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(byte.into()),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}
