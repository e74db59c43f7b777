//! Calls as JSON.

use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::Value;
use crate::request::check;
use crate::{DecodeError, RequestError};

/// The body of a call in JSON-RPC 2.0, to be posted to `/jsonrpc` as `application/json`.
///
/// NaN and the infinities go out as text, which the server reads as floats.
///
/// # Errors
/// Where an argument holds what the server cannot keep.
///
/// ```
/// use xenapi_wire::{ToValue, json};
///
/// let body = json::request("VM.get_record", &["OpaqueRef:s".to_value(), "OpaqueRef:v".to_value()], 7)?;
/// assert_eq!(body, br#"{"jsonrpc":"2.0","method":"VM.get_record","params":["OpaqueRef:s","OpaqueRef:v"],"id":7}"#);
/// # Ok::<(), xenapi_wire::RequestError>(())
/// ```
pub fn request(method: &str, params: &[Value], id: u64) -> Result<Vec<u8>, RequestError> {
    check(method, params)?;
    let mut body = Vec::new();
    let writes = serde_json::to_writer(&mut body, &Body { method, params, id });
    debug_assert!(writes.is_ok(), "writing to a vector cannot fail");
    Ok(body)
}

struct Body<'a> {
    method: &'a str,
    params: &'a [Value],
    id: u64,
}

impl Serialize for Body<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(4))?;
        map.serialize_entry("jsonrpc", "2.0")?;
        map.serialize_entry("method", self.method)?;
        map.serialize_entry("params", self.params)?;
        map.serialize_entry("id", &self.id)?;
        map.end()
    }
}

/// The versions of JSON-RPC that xapi speaks; it answers in the one it was asked in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// 1.0: no `jsonrpc` member; `result` and `error` both stand in every reply.
    V1,
    /// 2.0.
    V2,
}

/// What a client calls its request, given back in the reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Id {
    /// A number.
    Int(i64),
    /// A text.
    Text(String),
}

/// A call as a server reads it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Request {
    /// The version of the protocol.
    pub version: Version,
    /// The client's name for the request.
    pub id: Id,
    /// The name of the message, for example `VM.start`.
    pub method: String,
    /// The arguments, the session first where the message takes one.
    pub params: Vec<Value>,
}

/// Reads a call as xapi does: version 2.0 may have one object or nothing in place of the list of parameters, version
/// 1.0 may not; a request without an id, or several in a list, is refused.
///
/// # Errors
/// Where the body is no such call; xapi answers it with HTTP status 500.
pub fn parse_request(body: &[u8]) -> Result<Request, DecodeError> {
    let call: Value = serde_json::from_slice(body).map_err(|error| syntax(&error, body))?;
    let refuse = |reason| Err(DecodeError::at(0, reason).in_message(body));
    if call.as_struct().is_none() {
        return refuse("the request is no object");
    }
    let version = match call.get("jsonrpc") {
        None => Version::V1,
        Some(Value::String(version)) if version == "2.0" => Version::V2,
        Some(_) => return refuse("the request is of an unknown version"),
    };
    let id = match call.get("id") {
        Some(Value::Int(id)) => Id::Int(*id),
        Some(Value::String(id)) => Id::Text(id.clone()),
        _ => return refuse("the request's id is neither a number nor text"),
    };
    let Some(Value::String(method)) = call.get("method") else {
        return refuse("the request names no method");
    };
    let params = match (version, call.get("params")) {
        (_, Some(Value::Array(params))) => params.clone(),
        (Version::V2, Some(Value::Null) | None) => Vec::new(),
        (Version::V2, Some(params @ Value::Struct(_))) => vec![params.clone()],
        _ => return refuse("the request's parameters are no list"),
    };
    Ok(Request {
        version,
        id,
        method: method.clone(),
        params,
    })
}

/// An error of serde_json's with the byte in place of line and column.
fn syntax(error: &serde_json::Error, body: &[u8]) -> DecodeError {
    let line_start = match error.line() {
        0 | 1 => 0,
        line => memchr::memchr_iter(b'\n', body).nth(line - 2).map_or(0, |end| end + 1),
    };
    let offset = line_start + error.column().saturating_sub(1);
    DecodeError::at(offset, "no JSON that xapi reads").in_message(body)
}
