//! The wrapping of a reply.

use serde::de::{Deserialize, DeserializeOwned};

use super::de::Element;
use super::scanner::{Scanner, Start, Tag};
use crate::Value;
use crate::error::Segment;
use crate::reply::refusal;
use crate::text::text_of;
use crate::{DecodeError, ReplyError, from_value};

pub(crate) fn decode_reply<T: DeserializeOwned>(body: &[u8]) -> Result<T, ReplyError> {
    let text = text_of(body);
    reply(&mut Scanner::new(&text)).map_err(|error| match error {
        ReplyError::Decode(error) => ReplyError::Decode(error.in_message(text.as_bytes())),
        refusal => refusal,
    })
}

fn reply<T: DeserializeOwned>(scanner: &mut Scanner<'_>) -> Result<T, ReplyError> {
    scanner.open("methodResponse")?;
    let here = scanner.at();
    match scanner.tag()? {
        Tag::Open("params") => {
            scanner.open("param")?;
            let result = status(scanner)?;
            scanner.end("param")?;
            scanner.end("params")?;
            scanner.end("methodResponse")?;
            scanner.finish()?;
            Ok(result)
        }
        Tag::Open("fault") => Err(fault(Value::deserialize(Element(scanner))?)),
        _ => Err(DecodeError::at(here, "expected <params> or <fault>").into()),
    }
}

/// Reads `Status` and what belongs to it, or a bare value: `system.listMethods` has no status.
fn status<T: DeserializeOwned>(scanner: &mut Scanner<'_>) -> Result<T, ReplyError> {
    let before = scanner.fork();
    let at = scanner.at();
    if !matches!(scanner.value()?, Start::Struct) {
        *scanner = before;
        return result(scanner);
    }
    let (mut status, mut value, mut description) = (None, None, Value::Null);
    let mut first = true;
    while let Some(name) = scanner.next_member()? {
        match &*name {
            "Status" => status = Some(String::deserialize(Element(scanner)).map_err(|error| error.or_at(at))?),
            "Value" => {
                // A failure is a failure even where a value of another type stands beside it.
                let start = scanner.fork();
                let read = result(scanner);
                if read.is_err() {
                    *scanner = start;
                    scanner.skip_value()?;
                }
                value = Some(read);
            }
            "ErrorDescription" => description = Value::deserialize(Element(scanner))?,
            _ if first => {
                *scanner = before;
                return result(scanner);
            }
            _ => scanner.skip_value()?,
        }
        scanner.end_member()?;
        first = false;
    }
    match (status.as_deref(), value) {
        (Some("Success"), Some(value)) => value,
        (Some("Failure"), _) => {
            Err(refusal(description)
                .unwrap_or_else(|| DecodeError::at(at, "a failure without an ErrorDescription").into()))
        }
        (Some("Success"), None) => Err(DecodeError::at(at, "a success without a Value").into()),
        (Some(_), _) => Err(DecodeError::at(at, "the Status is neither Success nor Failure").into()),
        (None, _) => Err(DecodeError::at(at, "a reply without a Status").into()),
    }
}

fn result<T: DeserializeOwned>(scanner: &mut Scanner<'_>) -> Result<T, ReplyError> {
    let at = scanner.at();
    Ok(T::deserialize(Element(scanner)).map_err(|error| error.or_at(at).inside(Segment::member("result")))?)
}

/// The standard's own form of failure, which xapi does not use, in the shape of xapi's errors without code.
fn fault(fault: Value) -> ReplyError {
    let text = fault.get("faultString").and_then(Value::as_str).unwrap_or_default();
    ReplyError::Api {
        code: "Fault".to_owned(),
        params: vec![text.to_owned()],
    }
}

/// Reads the result of a task (`task.result`), which is an XML-RPC `<value>` whatever the encoding of the call.
///
/// Empty text is no result, so it reads as `()`; text that is not XML (old servers) is taken as it is.
///
/// # Errors
/// Where the value is no `T`.
///
/// ```
/// use xenapi_wire::xml::from_value_text;
///
/// assert_eq!(from_value_text::<String>("<value>OpaqueRef:8fa8</value>")?, "OpaqueRef:8fa8");
/// from_value_text::<()>("<value></value>")?;
/// from_value_text::<()>("")?;
/// # Ok::<(), xenapi_wire::DecodeError>(())
/// ```
pub fn from_value_text<T: DeserializeOwned>(text: &str) -> Result<T, DecodeError> {
    if !text.trim_ascii_start().starts_with("<value") {
        return from_value(&Value::String(text.to_owned()));
    }
    let mut scanner = Scanner::new(text);
    let at = scanner.at();
    T::deserialize(Element(&mut scanner))
        .and_then(|value| scanner.finish().map(|()| value))
        .map_err(|error| error.or_at(at).in_message(text.as_bytes()))
}
