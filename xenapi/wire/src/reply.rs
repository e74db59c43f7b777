//! What a reply says: a value, or why there is none.

use serde::de::DeserializeOwned;

use crate::{DecodeError, RequestError, Value, json, xml};

/// One of the two ways in which XenAPI writes calls and replies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Encoding {
    /// JSON-RPC 2.0, at `/jsonrpc` of hosts with API 2.6 or newer: half the bytes of XML.
    Json,
    /// XML-RPC, at `/RPC2` of every host.
    Xml,
}

impl Encoding {
    /// Where a host takes such calls.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Json => "/jsonrpc",
            Self::Xml => "/RPC2",
        }
    }

    /// What a call's `Content-Type` says.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Xml => "text/xml",
        }
    }

    /// The body of a call; XML-RPC has no place for its `id`.
    ///
    /// # Errors
    /// Where an argument holds what the server cannot keep.
    pub fn request(self, method: &str, params: &[Value], id: u64) -> Result<Vec<u8>, RequestError> {
        match self {
            Self::Json => json::request(method, params, id),
            Self::Xml => xml::request(method, params),
        }
    }
}

/// Why a reply holds no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// The server refused the call or failed at it.
    #[error("{code}{}{}", if .params.is_empty() { "" } else { ": " }, .params.join(", "))]
    Api {
        /// The error code, for example `VM_BAD_POWER_STATE`; `Fault` for what xapi has no code for.
        code: String,
        /// The code's parameters, in the order that the datamodel gives them.
        params: Vec<String>,
    },
    /// The reply cannot be read, or its value is not of the type wanted.
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

/// Reads the reply to a call as a `T`.
///
/// The empty text that stands for "no result" reads as `()`. Neither the reply's id nor the order of its members
/// matter.
///
/// # Errors
/// [`ReplyError::Api`] where the server says no; [`ReplyError::Decode`] where the bytes are no reply, or the result is
/// no `T`.
pub fn decode_reply<T: DeserializeOwned>(encoding: Encoding, body: &[u8]) -> Result<T, ReplyError> {
    match encoding {
        Encoding::Json => json::decode_reply(body),
        Encoding::Xml => xml::decode_reply(body),
    }
}

/// The refusal in the `error` of a JSON reply or the `ErrorDescription` of an XML one, if it is one.
///
/// The shapes: `[code, params…]`, `{"code": 1, "message": code, "data": params}`, or nothing.
pub(super) fn refusal(error: Value) -> Option<ReplyError> {
    let (code, params) = match error {
        Value::Null => return None,
        Value::Array(items) => {
            let mut texts = items.into_iter().map(text);
            (texts.next().unwrap_or_default(), texts.collect())
        }
        Value::Struct(members) => {
            let (mut code, mut params) = (String::new(), Vec::new());
            for (name, value) in members {
                match (name.as_str(), value) {
                    ("message", message) => code = text(message),
                    ("data", Value::Array(data)) => params = data.into_iter().map(text).collect(),
                    ("data", Value::Null) => {}
                    ("data", data) => params = vec![text(data)],
                    _ => {}
                }
            }
            (code, params)
        }
        other => (text(other), Vec::new()),
    };
    Some(ReplyError::Api { code, params })
}

/// A parameter of an error: text, and JSON for what should not be there.
fn text(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => {
            let mut json = Vec::new();
            json::write(&mut json, &other);
            String::from_utf8(json).unwrap_or_default()
        }
    }
}
