//! What an error tells about a reply that cannot be read, and what it keeps to itself.

use std::collections::BTreeMap;

use xenapi_wire::{self as wire, DecodeError, Encoding, ReplyError, json, xml};
use xenapi_wire::{Value, decode_reply};

type Records = BTreeMap<String, BTreeMap<String, Vec<i64>>>;

fn decode_error<T: serde::de::DeserializeOwned + std::fmt::Debug>(encoding: Encoding, reply: &[u8]) -> DecodeError {
    match decode_reply::<T>(encoding, reply) {
        Err(ReplyError::Decode(error)) => error,
        other => panic!("{other:?}"),
    }
}

/// Records in which the value at `result[OpaqueRef:a].VBDs[2]` is no number.
fn broken_records() -> Value {
    let member = |name: &str, value| Value::Struct(vec![(name.to_owned(), value)]);
    let items = ["1", "2", "topsecret", "4"].map(|text| Value::String(text.to_owned()));
    member("OpaqueRef:a", member("VBDs", Value::Array(items.to_vec())))
}

#[test]
fn the_place_of_a_wrong_value_is_named() {
    let xml = xml::success(&broken_records());
    let json = json::success(json::Version::V2, &json::Id::Int(1), &broken_records());
    for (encoding, reply, before) in [(Encoding::Xml, xml, "<value>"), (Encoding::Json, json, "\"")] {
        let error = decode_error::<Records>(encoding, &reply);
        assert_eq!(error.path(), "result[OpaqueRef:a].VBDs[2]");
        assert_eq!(error.reason(), "expected an integer, found text");
        let start = String::from_utf8(reply.clone())
            .unwrap()
            .find(&format!("{before}topsecret"))
            .unwrap();
        assert_eq!(error.offset(), Some(start));
        let snippet = error.snippet().unwrap();
        assert!(snippet.contains("topsecret") && snippet.len() < 100, "{snippet}");
        let shown = error.to_string();
        assert!(
            shown.starts_with("result[OpaqueRef:a].VBDs[2]: expected an integer, found text at byte "),
            "{shown}"
        );
    }
}

#[test]
fn a_redacted_error_shows_nothing_of_the_reply() {
    let xml = xml::success(&broken_records());
    let json = json::success(json::Version::V2, &json::Id::Int(1), &broken_records());
    for (encoding, reply) in [(Encoding::Xml, xml), (Encoding::Json, json)] {
        let error = decode_error::<Records>(encoding, &reply).redacted();
        assert_eq!((error.path().as_str(), error.snippet()), ("result[…].VBDs[2]", None));
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("secret") && !shown.contains("OpaqueRef"), "{shown}");
    }
    let quoting = wire::from_value::<xenapi_wire::DateTime>(&Value::String("topsecret".to_owned())).unwrap_err();
    assert!(quoting.to_string().contains("topsecret"));
    assert!(!quoting.redacted().to_string().contains("topsecret"));
}

#[test]
fn broken_syntax_is_an_error_with_its_byte() {
    for (reply, offset) in [
        ("", 0),
        ("<html>", 0),
        ("{\"result\":", 10),
        ("{\"result\":[1,2}", 14),
        ("{\"result\":1} x", 13),
        ("{\"result\":\"a", 12),
        ("{\"result\":tru}", 10),
        ("{result:1}", 1),
        ("{\"result\" 1}", 10),
        ("{\"result\":\"\\x\"}", 13),
    ] {
        let error = decode_error::<Value>(Encoding::Json, reply.as_bytes());
        assert_eq!(error.offset(), Some(offset), "{reply}: {error}");
    }
    for (reply, offset) in [
        ("", 0),
        ("<html></html>", 0),
        ("text", 0),
        ("<methodResponse><params><param><value>", 38),
        (
            "<methodResponse><params><param><value><array><data><value>1</value></array>",
            67,
        ),
        ("<methodResponse><params><param><value>a<b>c</b></value>", 39),
        (
            "<methodResponse><params><param><value>a</value></param></params></methodResponse>x",
            81,
        ),
        ("<methodResponse><params><param><value><int>1</string></value>", 44),
        ("<methodResponse><params><param><value><!-- a</value>", 52),
    ] {
        let error = decode_error::<Value>(Encoding::Xml, reply.as_bytes());
        assert_eq!(error.offset(), Some(offset), "{reply}: {error}");
    }
}

#[test]
fn wrong_types_are_refused_alike() {
    fn refused<T: serde::de::DeserializeOwned + std::fmt::Debug>(values: &[Value]) {
        for value in values {
            let json = json::success(json::Version::V1, &json::Id::Int(1), value);
            for (encoding, reply) in [(Encoding::Xml, xml::success(value)), (Encoding::Json, json)] {
                let error = decode_error::<T>(encoding, &reply);
                assert_eq!(error.path(), "result", "{error}");
                assert!(error.snippet().is_some(), "{error}");
            }
            assert!(wire::from_value::<T>(value).is_err());
        }
    }
    let text = || Value::String("x".to_owned());
    refused::<i64>(&[
        text(),
        Value::Float(1.5),
        Value::Bool(true),
        Value::Array(vec![]),
        Value::Struct(vec![]),
    ]);
    refused::<u8>(&[Value::Int(256), Value::Int(-1)]);
    refused::<f64>(&[text(), Value::Bool(true)]);
    refused::<bool>(&[text(), Value::Int(1), Value::String("true".to_owned())]);
    refused::<String>(&[
        Value::Bool(true),
        Value::Float(1.0),
        Value::Array(vec![]),
        Value::Struct(vec![]),
    ]);
    refused::<Vec<String>>(&[text(), Value::Struct(vec![])]);
    refused::<xenapi_wire::Map<String, String>>(&[text(), Value::Array(vec![])]);
    refused::<()>(&[text(), Value::Bool(false), Value::Array(vec![])]);
}

#[test]
fn nesting_has_a_limit() {
    for depth in [100, 120] {
        let nested = "[".repeat(depth) + &"]".repeat(depth);
        decode_reply::<Value>(Encoding::Json, format!("{{\"result\":{nested}}}").as_bytes()).unwrap();
        let nested = "<value><array><data>".repeat(depth) + &"</data></array></value>".repeat(depth);
        xml::from_value_text::<Value>(&nested).unwrap();
        xml::from_value_text::<serde::de::IgnoredAny>(&nested).unwrap();
    }
    for depth in [130, 100_000] {
        let json = format!("{{\"result\":{}", "[".repeat(depth));
        let error = decode_error::<Value>(Encoding::Json, json.as_bytes());
        assert!(error.reason().contains("deeper than 128"), "{error}");
        let json = format!("{{\"result\":{}", "{\"a\":".repeat(depth));
        assert!(
            decode_error::<Value>(Encoding::Json, json.as_bytes())
                .reason()
                .contains("deeper than 128")
        );
        for open in ["<value><array><data>", "<value><struct><member><name>a</name>"] {
            let nested = open.repeat(depth);
            let error = xml::from_value_text::<Value>(&nested).unwrap_err();
            assert!(error.reason().contains("deeper than 128"), "{error}");
            let error = xml::from_value_text::<serde::de::IgnoredAny>(&nested).unwrap_err();
            assert!(error.reason().contains("deeper than 128"), "{error}");
        }
    }
}

#[test]
fn errors_stay_small() {
    assert_eq!(size_of::<DecodeError>(), size_of::<usize>());
    let long = "x".repeat(1 << 20);
    let value = Value::Struct(vec![(long.clone(), Value::String(long))]);
    for (encoding, reply) in [
        (Encoding::Xml, xml::success(&value)),
        (
            Encoding::Json,
            json::success(json::Version::V2, &json::Id::Int(1), &value),
        ),
    ] {
        let error = decode_error::<xenapi_wire::Map<String, xenapi_wire::DateTime>>(encoding, &reply);
        assert!(format!("{error:?}").len() < 1000, "{}", error.to_string().len());
        assert!(error.offset().is_some());
    }
}

#[test]
fn members_that_nobody_wants_are_passed_over() {
    let reply = xml::success(&broken_records());
    decode_reply::<serde::de::IgnoredAny>(Encoding::Xml, &reply).unwrap();
    let odd = "<value><struct><member><name>a</name><value>x<![CDATA[</value>]]><!-- <value> --></value></member></struct></value>";
    xml::from_value_text::<serde::de::IgnoredAny>(odd).unwrap();
    let (first, ignored): (i64, serde::de::IgnoredAny) =
        xml::from_value_text("<value><array><data><value>1</value><value><array><data><value/></data></array></value><value>3</value></data></array></value>").unwrap();
    assert_eq!((first, ignored), (1, serde::de::IgnoredAny));
}
