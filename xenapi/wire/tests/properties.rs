//! What holds for every value and every reply.

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use xenapi_wire::{self as wire, Encoding, json, xml};
use xenapi_wire::{DateTime, Map, Value};

fn key() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z_]{1,12}", "OpaqueRef:[0-9a-f]{8}", "[ -;=-~äß😀]{0,8}"].boxed()
}

/// Any value, but for text that XML-RPC cannot tell from a number and floats that 16 digits cannot tell apart.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        any::<i32>().prop_map(|number| Value::Float(f64::from(number) / 16.0)),
        "[\t\n -~äß€😀]{0,20}".prop_map(Value::String),
        (0i64..4_000_000_000).prop_map(|seconds| Value::DateTime(DateTime::from_unix_seconds(seconds))),
    ];
    leaf.prop_recursive(5, 48, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
            prop::collection::vec((key(), inner), 0..6).prop_map(Value::Struct),
        ]
    })
}

/// The value with text for its integers (XML) or for its times (JSON).
fn flattened(value: &Value, encoding: Encoding) -> Value {
    match (value, encoding) {
        (Value::Int(number), Encoding::Xml) => Value::String(number.to_string()),
        (Value::DateTime(time), Encoding::Json) => Value::String(time.to_string()),
        (Value::Array(items), _) => Value::Array(items.iter().map(|item| flattened(item, encoding)).collect()),
        (Value::Struct(members), _) => Value::Struct(
            members
                .iter()
                .map(|(name, value)| (name.clone(), flattened(value, encoding)))
                .collect(),
        ),
        (other, _) => other.clone(),
    }
}

proptest! {
    #![proptest_config(Config { cases: 256, failure_persistence: None, ..Config::default() })]

    #[test]
    fn replies_keep_the_value(value in value()) {
        let xml: Value = wire::decode_reply(Encoding::Xml, &xml::success(&value)).unwrap();
        prop_assert_eq!(xml, flattened(&value, Encoding::Xml));
        let reply = json::success(json::Version::V2, &json::Id::Int(1), &value);
        let json: Value = wire::decode_reply(Encoding::Json, &reply).unwrap();
        prop_assert_eq!(json, flattened(&value, Encoding::Json));
        let task: Value = xml::from_value_text(&xml::value_text(&value)).unwrap();
        prop_assert_eq!(task, flattened(&value, Encoding::Xml));
    }

    #[test]
    fn requests_keep_the_value(value in value()) {
        let xml = xml::parse_request(&xml::request("VM.a", std::slice::from_ref(&value)).unwrap()).unwrap();
        prop_assert_eq!(&xml.params[0], &value);
        let json = json::parse_request(&json::request("VM.a", std::slice::from_ref(&value), 1).unwrap()).unwrap();
        prop_assert_eq!(&json.params[0], &flattened(&value, Encoding::Json));
    }

    #[test]
    fn the_second_pass_over_json_reads_like_the_first(value in value()) {
        let reply = json::success(json::Version::V2, &json::Id::Int(1), &value);
        let strict: Value = wire::decode_reply(Encoding::Json, &reply).unwrap();
        let with_nan = [b"{\"odd\":NaN,", &reply[1..]].concat();
        let lenient: Value = wire::decode_reply(Encoding::Json, &with_nan).unwrap();
        prop_assert_eq!(strict, lenient);
    }
}

/// 20,000 replies with a few bytes changed, cut out or repeated: each is read or refused.
#[test]
fn damaged_replies_are_refused_at_worst() {
    let replies = [
        (Encoding::Xml, include_bytes!("fixtures/task-record.xml").as_slice()),
        (Encoding::Xml, include_bytes!("fixtures/bad-power-state.xml")),
        (Encoding::Json, include_bytes!("fixtures/task-record.json")),
        (Encoding::Json, include_bytes!("fixtures/bad-power-state.json")),
    ];
    const PIECES: [&[u8]; 14] = [
        b"<",
        b">",
        b"&",
        b"]]>",
        b"<![CDATA[",
        b"<!--",
        b"</value>",
        b"<value>",
        b"\"",
        b"\\",
        b"{",
        b"[",
        b"NaN",
        b"\xff",
    ];
    let damage = (
        0..replies.len(),
        prop::collection::vec((any::<prop::sample::Index>(), 0..3u8, any::<u8>()), 1..4),
    );
    let config = Config {
        cases: 20_000,
        failure_persistence: None,
        ..Config::default()
    };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let outcome = runner.run(&damage, |(which, changes)| {
        let (encoding, reply) = replies[which];
        let mut reply = reply.to_vec();
        for (place, kind, byte) in changes {
            let at = place.index(reply.len());
            match kind {
                0 => reply[at] = byte,
                1 => reply.truncate(at.max(1)),
                _ => {
                    let piece = PIECES[usize::from(byte) % PIECES.len()];
                    reply.splice(at..at, piece.iter().copied());
                }
            }
        }
        let untyped = wire::decode_reply::<Value>(encoding, &reply);
        let typed = wire::decode_reply::<Map<String, String>>(encoding, &reply);
        for error in [untyped.err(), typed.err()].into_iter().flatten() {
            prop_assert!(error.to_string().len() < 8192);
        }
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}
