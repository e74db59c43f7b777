//! Requests and replies, independent of how they travel.

use std::pin::Pin;

use bytes::Bytes;
use futures_util::{Stream, stream};

/// A request whose body was read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Path and query as sent.
    pub(crate) target: String,
    /// Whether it was HTTP/1.0.
    pub(crate) old: bool,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
    /// Where the body could not be read as xapi would.
    pub(crate) unreadable: Option<&'static str>,
}

impl Request {
    pub(crate) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn content_length(&self) -> Option<u64> {
        self.header("content-length")?.trim().parse().ok()
    }

    /// A value from the query.
    pub(crate) fn query(&self, name: &str) -> Option<String> {
        pairs(self.target.split_once('?')?.1, &['&'], name)
    }

    /// All values of a name that the query repeats.
    pub(crate) fn queries(&self, name: &str) -> Vec<String> {
        let query = self.target.split_once('?').map_or("", |(_, query)| query);
        values(query, &['&'], name).collect()
    }

    /// The names in the query.
    pub(crate) fn query_keys(&self) -> impl Iterator<Item = String> {
        let query = self.target.split_once('?').map_or("", |(_, query)| query);
        query
            .split('&')
            .map(|part| unescape(part.split('=').next().unwrap_or_default()))
    }

    /// A value from the cookies, or else from the query.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        self.header("cookie")
            .and_then(|text| pairs(text, &[';', '&'], name))
            .or_else(|| self.query(name))
    }

    /// Whether the client wants the connection to stay.
    pub(crate) fn keeps_alive(&self) -> bool {
        let wish = self.header("connection").map(str::to_ascii_lowercase);
        !self.old && wish.as_deref() != Some("close")
    }
}

fn pairs(text: &str, separators: &[char], name: &str) -> Option<String> {
    values(text, separators, name).next()
}

fn values(text: &str, separators: &[char], name: &str) -> impl Iterator<Item = String> {
    text.split(separators)
        .map(|part| part.trim().split_once('=').unwrap_or((part.trim(), "")))
        .filter(move |(key, _)| unescape(key) == name)
        .map(|(_, value)| unescape(value))
}

/// Undoes percent-encoding; what is none stays as it is.
fn unescape(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let digits = tail.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match (byte, digits.and_then(|digits| u8::from_str_radix(digits, 16).ok())) {
            (b'%', Some(decoded)) => {
                out.push(decoded);
                rest = &tail[2..];
            }
            (b'+', _) => {
                out.push(b' ');
                rest = tail;
            }
            _ => {
                out.push(byte);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// The body broke off: the connection is to be closed, or reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    Closed,
    Reset,
}

/// A body that is made while it is sent.
pub(crate) type BodyStream = Pin<Box<dyn Stream<Item = Result<Bytes, Broken>> + Send>>;

pub(crate) enum Body {
    /// With a `content-length`.
    Full(Bytes),
    /// Without one; the end of the connection ends it.
    Stream(BodyStream),
}

/// A reply.
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// Whether it is written as HTTP/1.0 whatever the request was.
    pub(crate) old: bool,
    /// In the order in which they are written. A name that ends in a colon gets no space before its value: xapi
    /// writes one header like that.
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Body,
    pub(crate) close: bool,
    /// Whether the connection is reset in the middle of the body.
    pub(crate) reset: bool,
}

impl Reply {
    pub(crate) fn full(status: u16, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            old: false,
            headers: Vec::new(),
            body: Body::Full(body.into()),
            close: false,
            reset: false,
        }
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The connection stays, if the client wants it to; the length of the body must be in the headers.
    pub(crate) fn keeping_alive(mut self, request: &Request) -> Self {
        if request.keeps_alive() {
            self.close = false;
            for (_, value) in self.headers.iter_mut().filter(|(name, _)| *name == "connection") {
                "keep-alive".clone_into(value);
            }
        }
        self
    }

    /// The same reply with bytes behind its body that its length does not count.
    pub(crate) fn followed_by(mut self, more: &[u8]) -> Self {
        if let Body::Full(body) = &self.body {
            let length = body.len().to_string();
            let both = Bytes::from([body, more].concat());
            self.body = Body::Stream(Box::pin(stream::iter([Ok(both)])));
            self.headers.push(("content-length", length));
        }
        self
    }

    /// The whole response as it goes over the wire in HTTP/1.1, where its body is known.
    pub(crate) fn into_text(self) -> Bytes {
        let mut text = self.head("1.1").into_bytes();
        if let Body::Full(body) = &self.body {
            text.extend_from_slice(body);
        }
        text.into()
    }

    /// The status line and the headers, with the empty line behind them.
    pub(crate) fn head(&self, version: &str) -> String {
        let mut head = format!("HTTP/{version} {} {}\r\n", self.status, self.reason());
        if let Body::Full(body) = &self.body {
            head.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        for (name, value) in &self.headers {
            let separator = if name.ends_with(':') { "" } else { ": " };
            head.push_str(&format!("{name}{separator}{value}\r\n"));
        }
        head.push_str("\r\n");
        head
    }

    pub(crate) fn reason(&self) -> &'static str {
        match self.status {
            200 => "OK",
            302 => "Found",
            400 => "Bad Request",
            401 => "Unauthorised",
            403 => "Forbidden",
            404 => "Not Found",
            431 => "Request Header Fields Too Large",
            501 => "Not Implemented",
            503 => "Service Unavailable",
            _ => "Internal Error",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_come_from_cookies_first() {
        let request = Request {
            target: "/export?uuid=a%2Db&session_id=query".to_owned(),
            headers: vec![(
                "cookie".to_owned(),
                "task_id=OpaqueRef%3A1; session_id=cookie".to_owned(),
            )],
            ..Request::default()
        };
        assert_eq!(request.path(), "/export");
        assert_eq!(request.query("uuid").as_deref(), Some("a-b"));
        assert_eq!(request.parameter("session_id").as_deref(), Some("cookie"));
        assert_eq!(request.parameter("task_id").as_deref(), Some("OpaqueRef:1"));
        assert_eq!(request.parameter("absent"), None);
    }

    #[test]
    fn broken_escapes_stay() {
        assert_eq!(unescape("100%+%zz%4"), "100% %zz%4");
    }
}
