//! Values as XML, in xapi's spelling and in that of a request.

use crate::Value;
use crate::number::general;

/// The two ways to write a value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Spelling {
    /// As a client should: every scalar tagged, so that white space at the ends of a text survives.
    Request,
    /// As xapi does: text and integers without a tag, control characters left out, names of members not escaped.
    Reply,
}

const PROLOGUE: &str = "<?xml version=\"1.0\"?>";

/// The reply to a call that succeeded, byte for byte as xapi writes it. No result is [`Value::String`] of no text.
pub fn success(value: &Value) -> Vec<u8> {
    reply(|out| {
        out.push_str("<struct><member><name>Status</name><value>Success</value></member><member><name>Value</name>");
        write(out, value, Spelling::Reply);
        out.push_str("</member></struct>");
    })
}

/// The reply to a call that failed, byte for byte as xapi writes it.
pub fn failure(code: &str, params: &[String]) -> Vec<u8> {
    reply(|out| {
        out.push_str("<struct><member><name>Status</name><value>Failure</value></member>");
        out.push_str("<member><name>ErrorDescription</name><value><array><data>");
        for text in std::iter::once(code).chain(params.iter().map(String::as_str)) {
            out.push_str("<value>");
            escape(out, text, Spelling::Reply);
            out.push_str("</value>");
        }
        out.push_str("</data></array></value></member></struct>");
    })
}

/// A reply without the wrapping of a status, which only `system.listMethods` has.
pub fn bare(value: &Value) -> Vec<u8> {
    reply(|out| write_inner(out, value, Spelling::Reply))
}

/// A value as xapi writes it into the `result` of a task.
pub fn value_text(value: &Value) -> String {
    let mut out = String::new();
    write(&mut out, value, Spelling::Reply);
    out
}

fn reply(write_content: impl FnOnce(&mut String)) -> Vec<u8> {
    let mut out = String::from(PROLOGUE);
    out.push_str("<methodResponse><params><param><value>");
    write_content(&mut out);
    out.push_str("</value></param></params></methodResponse>");
    out.into_bytes()
}

pub(super) fn write(out: &mut String, value: &Value, spelling: Spelling) {
    out.push_str("<value>");
    write_inner(out, value, spelling);
    out.push_str("</value>");
}

fn write_inner(out: &mut String, value: &Value, spelling: Spelling) {
    match value {
        Value::Null => out.push_str("<nil/>"),
        Value::Bool(truth) => tagged(out, "boolean", if *truth { "1" } else { "0" }),
        Value::Int(number) if spelling == Spelling::Reply => out.push_str(&number.to_string()),
        Value::Int(number) => {
            let tag = if i32::try_from(*number).is_ok() { "int" } else { "i8" };
            tagged(out, tag, &number.to_string());
        }
        Value::Float(number) => tagged(out, "double", &float(*number, spelling)),
        Value::String(text) if spelling == Spelling::Reply => escape(out, text, spelling),
        Value::String(text) => {
            out.push_str("<string>");
            escape(out, text, spelling);
            out.push_str("</string>");
        }
        Value::DateTime(time) => tagged(out, "dateTime.iso8601", &time.to_string()),
        Value::Array(items) => {
            out.push_str("<array><data>");
            for item in items {
                write(out, item, spelling);
            }
            out.push_str("</data></array>");
        }
        Value::Struct(members) => {
            out.push_str("<struct>");
            for (name, member) in members {
                out.push_str("<member><name>");
                match spelling {
                    Spelling::Request => escape(out, name, spelling),
                    Spelling::Reply => out.push_str(name),
                }
                out.push_str("</name>");
                write(out, member, spelling);
                out.push_str("</member>");
            }
            out.push_str("</struct>");
        }
    }
}

fn tagged(out: &mut String, tag: &str, text: &str) {
    for part in ["<", tag, ">", text, "</", tag, ">"] {
        out.push_str(part);
    }
}

/// A float in C's spelling. xapi writes 16 digits, which can lose the last bit; a request has what it takes.
fn float(number: f64, spelling: Spelling) -> String {
    if number.is_nan() {
        "nan".to_owned()
    } else if number.is_infinite() {
        if number > 0.0 { "inf" } else { "-inf" }.to_owned()
    } else if spelling == Spelling::Reply {
        general(number, 16)
    } else {
        format!("{number:?}")
    }
}

pub(super) fn escape(out: &mut String, text: &str, spelling: Spelling) {
    for character in text.chars() {
        match character {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' if spelling == Spelling::Reply => out.push_str("&quot;"),
            // A parser of XML turns a raw CR into LF.
            '\r' if spelling == Spelling::Request => out.push_str("&#13;"),
            '\0'..=' ' if spelling == Spelling::Reply && !matches!(character, '\t' | '\n' | '\r' | ' ') => {}
            other => out.push(other),
        }
    }
}
