//! Replies of a running xapi 26.17, read and written again.

use xenapi_wire::{self as wire, Encoding, ReplyError, json, xml};
use xenapi_wire::{DateTime, Map, Value};

macro_rules! recording {
    ($name:literal) => {
        (
            include_bytes!(concat!("fixtures/", $name, ".xml")).as_slice(),
            include_bytes!(concat!("fixtures/", $name, ".json")).as_slice(),
        )
    };
}

fn recordings() -> [(&'static [u8], &'static [u8]); 4] {
    [
        recording!("task-record"),
        recording!("data-sources"),
        recording!("consoles"),
        recording!("storage"),
    ]
}

/// Whether XML, which has no integers, and JSON, which has no times, say the same.
fn same(xml: &Value, json: &Value) -> bool {
    match (xml, json) {
        (Value::String(text), Value::Int(number)) => *text == number.to_string(),
        (Value::DateTime(time), Value::String(text)) => time.to_string() == *text,
        (Value::Array(xml), Value::Array(json)) => {
            xml.len() == json.len() && xml.iter().zip(json).all(|(xml, json)| same(xml, json))
        }
        (Value::Struct(xml), Value::Struct(json)) => {
            xml.len() == json.len()
                && xml
                    .iter()
                    .zip(json)
                    .all(|((xml_key, xml), (key, json))| xml_key == key && same(xml, json))
        }
        _ => xml == json,
    }
}

#[test]
fn both_encodings_say_the_same() {
    for (xml, json) in recordings() {
        let xml: Value = wire::decode_reply(Encoding::Xml, xml).unwrap();
        let json: Value = wire::decode_reply(Encoding::Json, json).unwrap();
        assert!(same(&xml, &json), "{xml:?}\n{json:?}");
    }
}

#[test]
fn written_again_they_are_the_same_bytes() {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    for (xml, json) in recordings() {
        let value = wire::decode_reply(Encoding::Xml, xml).unwrap();
        assert_eq!(text(xml::success(&value)), text(xml.to_vec()));
        let value = wire::decode_reply(Encoding::Json, json).unwrap();
        assert_eq!(
            text(json::success(json::Version::V2, &json::Id::Int(7), &value)),
            text(json.to_vec())
        );
    }
}

#[test]
fn a_refusal_has_its_code_and_parameters() {
    let (xml, json) = recording!("bad-power-state");
    let params = ["OpaqueRef:60893488-e479-1ced-cf6a-e28e7f1ef6a0", "halted", "paused"].map(str::to_owned);
    let expected = Err(ReplyError::Api {
        code: "VM_BAD_POWER_STATE".to_owned(),
        params: params.to_vec(),
    });
    assert_eq!(wire::decode_reply::<()>(Encoding::Xml, xml), expected);
    assert_eq!(wire::decode_reply::<()>(Encoding::Json, json), expected);
    assert_eq!(xml::failure("VM_BAD_POWER_STATE", &params), xml);
    assert_eq!(
        json::failure(json::Version::V2, &json::Id::Int(7), "VM_BAD_POWER_STATE", &params),
        json
    );
}

#[test]
fn fields_have_their_types_in_both_encodings() {
    let (xml, json) = recording!("task-record");
    for (encoding, reply) in [(Encoding::Xml, xml), (Encoding::Json, json)] {
        let record: Value = wire::decode_reply(encoding, reply).unwrap();
        let field = |name| record.get(name).unwrap();
        assert_eq!(wire::from_value::<f64>(field("progress")).unwrap(), 1.0);
        let created: DateTime = wire::from_value(field("created")).unwrap();
        assert_eq!(created.to_string(), "20261122T19:04:18Z");
        let result: String = wire::from_value(field("result")).unwrap();
        xml::from_value_text::<()>(&result).unwrap();
    }
}

#[test]
fn integers_and_infinities_are_numbers_in_both_encodings() {
    let (xml, json) = recording!("storage");
    for (encoding, reply) in [(Encoding::Xml, xml), (Encoding::Json, json)] {
        let storage: Map<String, Map<String, Value>> = wire::decode_reply(encoding, reply).unwrap();
        let sizes: Vec<i64> = storage
            .values()
            .map(|record| wire::from_value(&record["physical_size"]).unwrap())
            .collect();
        assert!(sizes.iter().any(|&size| size > i64::from(i32::MAX)), "{sizes:?}");
    }
    let (xml, json) = recording!("data-sources");
    for (encoding, reply) in [(Encoding::Xml, xml), (Encoding::Json, json)] {
        let sources: Vec<Map<String, Value>> = wire::decode_reply(encoding, reply).unwrap();
        assert_eq!(sources[1]["max"], Value::Float(f64::INFINITY));
    }
}
