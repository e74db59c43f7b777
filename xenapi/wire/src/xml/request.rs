//! Calls as XML.

use serde::de::Deserialize;

use super::de::Element;
use super::scanner::{Scanner, Tag};
use super::write::{Spelling, escape, write};
use crate::Value;
use crate::error::Segment;
use crate::request::check;
use crate::text::text_of;
use crate::{DecodeError, RequestError};

/// The body of a call, to be posted to `/RPC2` as `text/xml`.
///
/// # Errors
/// Where an argument holds what XML cannot carry.
///
/// ```
/// use xenapi_wire::{ToValue, xml};
///
/// let body = xml::request("session.login_with_password", &["root".to_value(), "a & b".to_value()])?;
/// assert!(String::from_utf8_lossy(&body).contains("<string>a &amp; b</string>"));
/// # Ok::<(), xenapi_wire::RequestError>(())
/// ```
pub fn request(method: &str, params: &[Value]) -> Result<Vec<u8>, RequestError> {
    check(method, params)?;
    let mut out = String::from("<?xml version=\"1.0\"?><methodCall><methodName>");
    escape(&mut out, method, Spelling::Request);
    out.push_str("</methodName><params>");
    for value in params {
        out.push_str("<param>");
        write(&mut out, value, Spelling::Request);
        out.push_str("</param>");
    }
    out.push_str("</params></methodCall>");
    Ok(out.into_bytes())
}

/// A call as a server reads it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Request {
    /// The name of the message, for example `VM.start`.
    pub method: String,
    /// The arguments, the session first where the message takes one.
    pub params: Vec<Value>,
}

/// Reads a call as a server does.
///
/// # Errors
/// Where the body is no XML-RPC call, or holds control characters; xapi answers such a request with HTTP status 500.
pub fn parse_request(body: &[u8]) -> Result<Request, DecodeError> {
    if let Some(offset) = body.iter().position(|byte| matches!(byte, 0..=8 | 11 | 12 | 14..=31)) {
        return Err(DecodeError::at(offset, "a control character").in_message(body));
    }
    let text = text_of(body);
    call(&mut Scanner::new(&text)).map_err(|error| error.in_message(text.as_bytes()))
}

fn call(scanner: &mut Scanner<'_>) -> Result<Request, DecodeError> {
    scanner.open("methodCall")?;
    scanner.open("methodName")?;
    let method = scanner.text("</methodName>")?.trim_ascii().to_owned();
    let mut params = Vec::new();
    let here = scanner.at();
    match scanner.tag()? {
        Tag::Open("params") => {
            loop {
                let here = scanner.at();
                match scanner.tag()? {
                    Tag::Open("param") => {}
                    Tag::Close("params") => break,
                    _ => return Err(DecodeError::at(here, "expected <param> or the end of the parameters")),
                }
                let at = scanner.at();
                let index = params.len();
                let value = Value::deserialize(Element(scanner)).map_err(|error| {
                    error
                        .or_at(at)
                        .inside(Segment::Item(index))
                        .inside(Segment::member("params"))
                })?;
                params.push(value);
                scanner.end("param")?;
            }
            scanner.end("methodCall")?;
        }
        Tag::Empty("params") => scanner.end("methodCall")?,
        Tag::Close("methodCall") => {}
        _ => return Err(DecodeError::at(here, "expected <params>")),
    }
    scanner.finish()?;
    Ok(Request { method, params })
}
