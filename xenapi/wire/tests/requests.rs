//! Calls: written as Python's `xmlrpc.client` and `serde_xmlrpc` read them, and read as a server does.

use std::io::Write;
use std::process::{Command, Stdio};

use xenapi_wire::{self as wire, Encoding, RequestError, json, xml};
use xenapi_wire::{ToValue, Value};

fn text(value: &str) -> Value {
    Value::String(value.to_owned())
}

fn record(members: &[(&str, Value)]) -> Value {
    Value::Struct(
        members
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect(),
    )
}

/// Every kind of value, with what is hard about it.
fn arguments() -> Vec<Value> {
    vec![
        text(""),
        text("  leading, trailing and \t inner  "),
        text("\n"),
        text("a\r\nb\rc"),
        text("<a href=\"x\">R&D</a> ]]> &amp; 'q'"),
        text("grüße 😀 \u{7f}\u{85}\u{2028}\u{10ffff}"),
        Value::Int(0),
        Value::Int(-1),
        Value::Int(1 << 31),
        Value::Int(i64::MIN),
        Value::Int(i64::MAX),
        Value::Bool(true),
        Value::Bool(false),
        Value::Float(0.1),
        Value::Float(-0.0),
        Value::Float(1e300),
        Value::Float(5e-324),
        Value::Float(1.0 / 3.0),
        Value::Float(f64::INFINITY),
        Value::Float(f64::NEG_INFINITY),
        Value::Float(f64::NAN),
        Value::DateTime("20240131T12:00:00Z".parse().unwrap()),
        Value::DateTime("20240131T12:00:00".parse().unwrap()),
        Value::Array(vec![]),
        record(&[]),
        Value::Array(vec![
            Value::Array(vec![Value::Array(vec![])]),
            record(&[("a", record(&[("", text("b"))]))]),
        ]),
        record(&[
            ("a<b>&\"c'", text("<")),
            (" x ", Value::Int(1)),
            ("grüße", Value::Bool(true)),
        ]),
        Value::Null,
    ]
}

/// A value as the script below shows it.
fn shown(value: &Value) -> serde_json::Value {
    use serde_json::json;
    match value {
        Value::Null => json!(["none"]),
        Value::Bool(truth) => json!(["bool", truth]),
        Value::Int(number) => json!(["int", number.to_string()]),
        Value::Float(number) if number.is_nan() => json!(["float", "nan"]),
        Value::Float(number) => json!(["float", format!("{:016x}", number.to_bits())]),
        Value::String(text) => json!(["str", text]),
        Value::DateTime(time) => json!(["time", time.to_string()]),
        Value::Array(items) => json!(["list", items.iter().map(shown).collect::<Vec<_>>()]),
        Value::Struct(members) => {
            json!([
                "dict",
                members
                    .iter()
                    .map(|(name, value)| json!([name, shown(value)]))
                    .collect::<Vec<_>>()
            ])
        }
        _ => unreachable!("all kinds are above"),
    }
}

const JUDGE: &str = r#"
import json, struct, sys, xmlrpc.client
def show(value):
    if value is None: return ["none"]
    if isinstance(value, bool): return ["bool", value]
    if isinstance(value, int): return ["int", str(value)]
    if isinstance(value, float): return ["float", "nan" if value != value else struct.pack(">d", value).hex()]
    if isinstance(value, str): return ["str", value]
    if isinstance(value, xmlrpc.client.DateTime): return ["time", value.value]
    if isinstance(value, list): return ["list", [show(item) for item in value]]
    return ["dict", [[name, show(item)] for name, item in value.items()]]
params, method = xmlrpc.client.loads(sys.stdin.buffer.read())
json.dump([method, [show(value) for value in params]], sys.stdout)
"#;

#[test]
fn python_reads_what_was_meant() {
    let started = Command::new("python3")
        .args(["-c", JUDGE])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let mut python = match started {
        Ok(python) => python,
        Err(error) if std::env::var_os("CI").is_some() => panic!("python3: {error}"),
        Err(error) => return eprintln!("skipped: python3: {error}"),
    };
    let body = xml::request("VM.set_name", &arguments()).unwrap();
    python.stdin.take().unwrap().write_all(&body).unwrap();
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success());
    let read: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let meant: Vec<_> = arguments().iter().map(shown).collect();
    assert_eq!(read[0], "VM.set_name");
    for (read, meant) in read[1].as_array().unwrap().iter().zip(&meant) {
        assert_eq!(read, meant);
    }
    assert_eq!(read[1].as_array().unwrap().len(), meant.len());
}

#[test]
fn a_server_reads_what_was_meant() {
    let shown_all = |params: &[Value]| params.iter().map(shown).collect::<Vec<_>>();
    let call = xml::parse_request(&xml::request("VM.a", &arguments()).unwrap()).unwrap();
    assert_eq!(
        (call.method.as_str(), shown_all(&call.params)),
        ("VM.a", shown_all(&arguments()))
    );

    let call = json::parse_request(&json::request("VM.a", &arguments(), 7).unwrap()).unwrap();
    assert_eq!(
        (call.version, call.id, call.method.as_str()),
        (json::Version::V2, json::Id::Int(7), "VM.a")
    );
    for (read, meant) in call.params.iter().zip(arguments()) {
        match meant {
            Value::DateTime(time) => assert_eq!(*read, text(&time.to_string())),
            Value::Float(number) => assert_eq!(read.as_float().map(f64::to_bits), Some(number.to_bits())),
            other => assert_eq!(*read, other),
        }
    }
}

#[test]
fn serde_xmlrpc_reads_what_was_meant_and_is_read() {
    use serde_xmlrpc::Value as Other;
    let ours = [
        text("a<b"),
        text("1"),
        Value::Int(-5),
        Value::Int(1 << 40),
        Value::Bool(true),
        Value::Float(0.25),
        Value::Array(vec![Value::Int(1), text("x"), Value::Array(vec![])]),
        record(&[("a", text("b")), ("c", record(&[]))]),
        Value::Null,
    ];
    let member = |name: &str, value| (name.to_owned(), value);
    let theirs = vec![
        Other::String("a<b".to_owned()),
        Other::String("1".to_owned()),
        Other::Int(-5),
        Other::Int64(1 << 40),
        Other::Bool(true),
        Other::Double(0.25),
        Other::Array(vec![Other::Int(1), Other::String("x".to_owned()), Other::Array(vec![])]),
        Other::Struct(
            [
                member("a", Other::String("b".to_owned())),
                member("c", Other::Struct(Default::default())),
            ]
            .into(),
        ),
        Other::Nil,
    ];

    let call = xml::parse_request(
        serde_xmlrpc::request_to_string("a.b", theirs.clone())
            .unwrap()
            .as_bytes(),
    )
    .unwrap();
    assert_eq!((call.method.as_str(), call.params.as_slice()), ("a.b", ours.as_slice()));

    let reply = serde_xmlrpc::response_to_string([Other::Array(theirs)].into_iter()).unwrap();
    assert_eq!(
        wire::decode_reply::<Vec<Value>>(Encoding::Xml, reply.as_bytes()).unwrap(),
        ours
    );

    // It leaves entities in text as they are, and makes an integer 32 bits wide where that is enough.
    let body = String::from_utf8(xml::request("a.b", &ours).unwrap()).unwrap();
    let (method, params) = serde_xmlrpc::request_from_str(&body).unwrap();
    assert_eq!(method, "a.b");
    assert_eq!(params[0], Other::String("a&lt;b".to_owned()));
    let counted: (String, i64, i64, bool, f64) = serde_xmlrpc::from_values(params[1..6].to_vec()).unwrap();
    assert_eq!(counted, ("1".to_owned(), -5, 1 << 40, true, 0.25));
    assert_eq!(params.len(), ours.len());
}

#[test]
fn control_characters_are_refused_before_sending() {
    let params = [
        "OpaqueRef:s".to_value(),
        record(&[("name_label", Value::Array(vec![text("a\u{7}")]))]),
    ];
    let expected = RequestError::ForbiddenCharacter {
        place: "params[1].name_label[0]".to_owned(),
        character: '\u{7}',
    };
    assert_eq!(json::request("VM.create", &params, 1), Err(expected.clone()));
    assert_eq!(xml::request("VM.create", &params), Err(expected.clone()));
    assert!(
        expected.to_string().contains("U+0007 in params[1].name_label[0]"),
        "{expected}"
    );
    for character in ['\0', '\u{b}', '\u{1f}', '\u{fffe}', '\u{ffff}'] {
        assert!(
            xml::request("VM.a", &[text(&character.to_string())]).is_err(),
            "{character:?}"
        );
        assert!(xml::request("VM.a", &[record(&[(&character.to_string(), Value::Null)])]).is_err());
        assert!(xml::request(&format!("VM.a{character}"), &[]).is_err());
    }
    xml::request("VM.a", &[text("\t\r\n")]).unwrap();
}

#[test]
fn deep_arguments_are_refused_before_sending() {
    let nested = |depth| (0..depth).fold(Value::Null, |value, _| Value::Array(vec![value]));
    let body = json::request("a", &[nested(120)], 1).unwrap();
    assert_eq!(json::parse_request(&body).unwrap().params, [nested(120)]);
    let body = xml::request("a", &[nested(120)]).unwrap();
    assert_eq!(xml::parse_request(&body).unwrap().params, [nested(120)]);
    for depth in [121, 2000] {
        let error = json::request("a", &[nested(depth)], 1).unwrap_err();
        assert!(matches!(error, RequestError::TooDeep { limit: 120, .. }), "{error}");
        assert!(xml::request("a", &[nested(depth)]).is_err());
        assert!(error.to_string().len() < 200, "{error}");
    }
}

#[test]
fn json_calls_read_as_xapi_reads_them() {
    let read = |body: &str| json::parse_request(body.as_bytes());
    let call = read(r#"{"method":"a","params":[1,"x"],"id":"me"}"#).unwrap();
    assert_eq!(
        (call.version, call.id, call.params.len()),
        (json::Version::V1, json::Id::Text("me".to_owned()), 2)
    );
    for params in ["", r#""params":null,"#, r#""params":[],"#] {
        let call = read(&format!(r#"{{"jsonrpc":"2.0",{params}"method":"a","id":-3}}"#)).unwrap();
        assert_eq!((call.id, call.params), (json::Id::Int(-3), vec![]));
    }
    let call = read(r#"{"jsonrpc":"2.0","params":{"a":1},"method":"a","id":1}"#).unwrap();
    assert_eq!(call.params, [record(&[("a", Value::Int(1))])]);
    for body in [
        "",
        "[]",
        r#"[{"jsonrpc":"2.0","method":"a","id":1}]"#,
        r#"{"jsonrpc":"1.1","method":"a","params":[],"id":1}"#,
        r#"{"jsonrpc":"2.0","method":"a","params":[],"id":null}"#,
        r#"{"jsonrpc":"2.0","method":"a","params":[]}"#,
        r#"{"jsonrpc":"2.0","params":[],"id":1}"#,
        r#"{"method":"a","id":1}"#,
        r#"{"method":"a","params":{},"id":1}"#,
        r#"{"method":"a","params":[9223372036854775808],"id":1}"#,
    ] {
        assert!(read(body).is_err(), "{body}");
    }
    let error = read("{\"method\":\"a\",\n \"params\":[tru]}").unwrap_err();
    assert!(
        error.offset().is_some_and(|offset| (28..=30).contains(&offset)),
        "{error}"
    );
}

#[test]
fn xml_calls_read_in_every_form() {
    for body in [
        "<methodCall><methodName>a.b</methodName><params/></methodCall>",
        "<methodCall><methodName>a.b</methodName></methodCall>",
        "<?xml version='1.0'?>\n<methodCall>\n<methodName> a.b </methodName>\n<params>\n</params>\n</methodCall>\n",
    ] {
        let call = xml::parse_request(body.as_bytes()).unwrap();
        assert_eq!((call.method.as_str(), call.params.len()), ("a.b", 0), "{body}");
    }
    let untagged =
        "<methodCall><methodName>a</methodName><params><param><value>1</value></param></params></methodCall>";
    assert_eq!(
        xml::parse_request(untagged.as_bytes()).unwrap().params[0].as_int(),
        Some(1)
    );
    for body in [
        "",
        "{}",
        "<methodCall><methodName>a</methodName><params>",
        "<methodResponse/>",
        "<methodCall>\u{1}",
    ] {
        assert!(xml::parse_request(body.as_bytes()).is_err(), "{body}");
    }
    let wrong =
        "<methodCall><methodName>a</methodName><params><param><value><i4>x</i4></value></param></params></methodCall>";
    assert_eq!(xml::parse_request(wrong.as_bytes()).unwrap_err().path(), "params[0]");
}

#[test]
fn refusals_are_written_as_the_version_wants() {
    use json::{Id, Version, failure, success, undispatched_failure};
    let params = ["x".to_owned()];
    let as_text = |bytes| String::from_utf8(bytes).unwrap();
    assert_eq!(
        as_text(failure(Version::V1, &Id::Text("a\"b".to_owned()), "A", &params)),
        r#"{"result":null,"error":["A","x"],"id":"a\"b"}"#
    );
    assert_eq!(
        as_text(success(Version::V1, &Id::Int(3), &text(""))),
        r#"{"result":"","error":null,"id":3}"#
    );
    assert_eq!(
        as_text(failure(Version::V2, &Id::Int(3), "A", &[])),
        r#"{"jsonrpc":"2.0","error":{"code":1,"message":"A","data":[]},"id":3}"#
    );
    assert_eq!(
        as_text(undispatched_failure("A", &params)),
        r#"{"jsonrpc":"2.0","error":["A","x"],"id":0}"#
    );
}

#[test]
fn replies_are_spelled_as_xapi_spells_them() {
    let floats = [
        1.0,
        0.25,
        -3.0,
        1e20,
        0.1,
        1.0 / 3.0,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::NAN,
    ]
    .map(Value::Float);
    let mut json = String::from_utf8(json::success(
        json::Version::V1,
        &json::Id::Int(1),
        &Value::Array(floats.to_vec()),
    ))
    .unwrap();
    json.truncate(json.find(']').unwrap());
    assert_eq!(
        json,
        r#"{"result":[1.0,0.25,-3.0,1e+20,0.1,0.3333333333333333,Infinity,-Infinity,NaN"#
    );
    let xml = floats
        .iter()
        .map(xml::value_text)
        .collect::<String>()
        .replace("</double></value><value><double>", " ");
    assert_eq!(
        xml,
        "<value><double>1 0.25 -3 1e+20 0.1 0.3333333333333333 inf -inf nan</double></value>"
    );
    let value = record(&[
        ("a&<b", text("<&>\"'\u{1}\u{7f}\r\n\t")),
        ("e", Value::Array(vec![])),
        ("n", Value::Int(-1)),
    ]);
    assert_eq!(
        xml::value_text(&value),
        "<value><struct><member><name>a&<b</name><value>&lt;&amp;&gt;&quot;'\u{7f}\r\n\t</value></member>\
         <member><name>e</name><value><array><data></data></array></value></member>\
         <member><name>n</name><value>-1</value></member></struct></value>"
    );
    let json = json::success(json::Version::V1, &json::Id::Int(1), &text("\"\\/\u{1}\u{7f}\r\n\tü"));
    assert_eq!(
        String::from_utf8(json).unwrap(),
        "{\"result\":\"\\\"\\\\/\\u0001\\u007f\\r\\n\\tü\",\"error\":null,\"id\":1}"
    );
}
