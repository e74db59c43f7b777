//! Replies as xapi writes them, byte for byte.

use super::{Id, Version};
use crate::Value;
use crate::number::general;

/// The reply to a call that succeeded. No result is [`Value::String`] of no text.
pub fn success(version: Version, id: &Id, value: &Value) -> Vec<u8> {
    let mut out = match version {
        Version::V1 => b"{\"result\":".to_vec(),
        Version::V2 => b"{\"jsonrpc\":\"2.0\",\"result\":".to_vec(),
    };
    write(&mut out, value);
    if version == Version::V1 {
        out.extend_from_slice(b",\"error\":null");
    }
    end(out, id)
}

/// The reply to a call that failed.
pub fn failure(version: Version, id: &Id, code: &str, params: &[String]) -> Vec<u8> {
    let mut out = Vec::new();
    match version {
        Version::V1 => {
            out.extend_from_slice(b"{\"result\":null,\"error\":");
            strings(&mut out, std::iter::once(code).chain(params.iter().map(String::as_str)));
        }
        Version::V2 => {
            out.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"error\":{\"code\":1,\"message\":");
            string(&mut out, code);
            out.extend_from_slice(b",\"data\":");
            strings(&mut out, params.iter().map(String::as_str));
            out.push(b'}');
        }
    }
    end(out, id)
}

/// The reply to a call that failed before it was dispatched (a member that is booting or in emergency mode): version
/// 2.0, id 0 and a list in place of the error's object, whatever the request.
pub fn undispatched_failure(code: &str, params: &[String]) -> Vec<u8> {
    let mut out = b"{\"jsonrpc\":\"2.0\",\"error\":".to_vec();
    strings(&mut out, std::iter::once(code).chain(params.iter().map(String::as_str)));
    end(out, &Id::Int(0))
}

fn end(mut out: Vec<u8>, id: &Id) -> Vec<u8> {
    out.extend_from_slice(b",\"id\":");
    match id {
        Id::Int(id) => out.extend_from_slice(id.to_string().as_bytes()),
        Id::Text(id) => string(&mut out, id),
    }
    out.push(b'}');
    out
}

/// Writes a value as Yojson does.
pub(crate) fn write(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(truth) => out.extend_from_slice(if *truth { b"true" } else { b"false" }),
        Value::Int(number) => out.extend_from_slice(number.to_string().as_bytes()),
        Value::Float(number) => out.extend_from_slice(float(*number).as_bytes()),
        Value::String(text) => string(out, text),
        Value::DateTime(time) => string(out, &time.to_string()),
        Value::Array(items) => list(out, b'[', b']', items, write),
        Value::Struct(members) => list(out, b'{', b'}', members, |out, (name, member)| {
            string(out, name);
            out.push(b':');
            write(out, member);
        }),
    }
}

fn list<T>(
    out: &mut Vec<u8>,
    open: u8,
    close: u8,
    items: impl IntoIterator<Item = T>,
    write_item: impl Fn(&mut Vec<u8>, T),
) {
    out.push(open);
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_item(out, item);
    }
    out.push(close);
}

fn strings<'a>(out: &mut Vec<u8>, texts: impl Iterator<Item = &'a str>) {
    list(out, b'[', b']', texts, string);
}

/// A float always has a point or an exponent; what JSON lacks stands bare.
fn float(number: f64) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let mut text = general(number, 16);
    if text.parse() != Ok(number) {
        text = general(number, 17);
    }
    if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') {
        text.push_str(".0");
    }
    text
}

pub(super) fn string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            8 => out.extend_from_slice(b"\\b"),
            12 => out.extend_from_slice(b"\\f"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..=31 | 127 => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}
