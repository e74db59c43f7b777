//! What servers write although they should not, and what they may write although xapi does not.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use xenapi_wire::{self as wire, Encoding, ReplyError, xml};
use xenapi_wire::{DateTime, Map, Value};

fn xml_value<T: DeserializeOwned>(value: &str) -> T {
    xml::from_value_text(value).unwrap_or_else(|error| panic!("{value}: {error}"))
}

fn json_result<T: DeserializeOwned>(result: &str) -> T {
    let reply = format!(r#"{{"jsonrpc":"2.0","result":{result},"id":1}}"#);
    wire::decode_reply(Encoding::Json, reply.as_bytes()).unwrap_or_else(|error| panic!("{result}: {error}"))
}

fn text(value: &str) -> Value {
    Value::String(value.to_owned())
}

#[test]
fn xml_text_is_kept_as_it_stands() {
    for (value, wanted) in [
        ("<value>  a b  </value>", "  a b  "),
        ("<value>line\n</value>", "line\n"),
        ("<value>\r\n</value>", "\r\n"),
        ("<value>   </value>", "   "),
        ("<value></value>", ""),
        ("<value/>", ""),
        ("<value />", ""),
        ("<value><string/></value>", ""),
        ("<value>\n  <string> a </string>\n</value>", " a "),
        (
            "<value><string>a &amp; &lt;b&gt; &quot;&apos;</string></value>",
            "a & <b> \"'",
        ),
        ("<value>&#65;&#x1F600;&#x41;</value>", "A😀A"),
        (
            "<value>R&D; &nosuch; & &#xD800; &#99999999;</value>",
            "R&D; &nosuch; & &#xD800; &#99999999;",
        ),
        ("<value><![CDATA[a < b & c]]></value>", "a < b & c"),
        ("<value>x<![CDATA[<value>]]>y</value>", "x<value>y"),
        ("<value>a<!-- c -->b</value>", "ab"),
        ("<value><!-- c --><string>a</string><!-- d --></value>", "a"),
        ("<value>bell\u{7}</value>", "bell\u{7}"),
        ("<value>a</value >", "a"),
        ("<value ><string >a</string ></value>", "a"),
        ("<value>20240131T12:00:00Z</value>", "20240131T12:00:00Z"),
    ] {
        assert_eq!(xml_value::<Value>(value), text(wanted), "{value}");
        assert_eq!(xml_value::<String>(value), wanted, "{value}");
    }
}

#[test]
fn xml_names_may_be_unescaped() {
    for (name, wanted) in [
        ("a&amp;b", "a&b"),
        ("a&b", "a&b"),
        ("a<b", "a<b"),
        ("<none/>", "<none/>"),
        ("<![CDATA[a<b]]>", "a<b"),
        (" a ", " a "),
        ("", ""),
        ("<!-- ", "<!-- "),
        ("<value>", "<value>"),
    ] {
        let map = format!("<value><struct><member><name>{name}</name><value>1</value></member></struct></value>");
        let map: Map<String, i64> = xml_value(&map);
        assert_eq!(map.iter().next(), Some((&wanted.to_owned(), &1)), "{name}");
    }
}

#[test]
fn xml_numbers_come_with_and_without_tag() {
    for value in [
        "<value>42</value>",
        "<value><i4>42</i4></value>",
        "<value><int>42</int></value>",
        "<value><i8> 42 </i8></value>",
    ] {
        assert_eq!(xml_value::<i64>(value), 42, "{value}");
        assert_eq!(xml_value::<u8>(value), 42, "{value}");
    }
    assert_eq!(xml_value::<i64>("<value>-9223372036854775808</value>"), i64::MIN);
    assert_eq!(
        xml_value::<i64>("<value><i8>9223372036854775807</i8></value>"),
        i64::MAX
    );
    for (value, wanted) in [
        ("<value><double>0.25</double></value>", 0.25),
        ("<value>3</value>", 3.0),
        ("<value><i4>3</i4></value>", 3.0),
        ("<value><double>-inf</double></value>", f64::NEG_INFINITY),
        ("<value><double>1e+20</double></value>", 1e20),
    ] {
        assert_eq!(xml_value::<f64>(value), wanted, "{value}");
    }
    assert!(xml_value::<f64>("<value><double>-nan</double></value>").is_nan());
    assert!(xml_value::<bool>("<value><boolean>1</boolean></value>"));
    assert!(!xml_value::<bool>("<value><boolean>0</boolean></value>"));
}

#[test]
fn xml_containers_may_be_empty_in_every_form() {
    for value in [
        "<array/>",
        "<array></array>",
        "<array><data/></array>",
        "<array><data></data></array>",
        "<array>\n<data>\n</data>\n</array>",
    ] {
        assert_eq!(
            xml_value::<Value>(&format!("<value>{value}</value>")),
            Value::Array(vec![]),
            "{value}"
        );
    }
    for value in ["<struct/>", "<struct></struct>", "<struct> </struct>"] {
        assert_eq!(
            xml_value::<Value>(&format!("<value>{value}</value>")),
            Value::Struct(vec![]),
            "{value}"
        );
    }
    assert_eq!(xml_value::<Option<String>>("<value><nil/></value>"), None);
    assert_eq!(xml_value::<Option<String>>("<value><nil></nil></value>"), None);
    assert_eq!(xml_value::<Option<String>>("<value>x</value>"), Some("x".to_owned()));
}

#[test]
fn xml_may_be_indented() {
    let reply = "<?xml version=\"1.0\"?>\n<!-- x -->\n<methodResponse>\n <params>\n  <param>\n   <value>\n    <struct>\n     \
        <member>\n <name>Status</name>\n <value>Success</value>\n </member>\n <member>\n <name>Value</name>\n <value>\n \
        <array>\n <data>\n <value> <i4>1</i4> </value>\n <value>2</value>\n </data> </array> </value>\n </member>\n \
        </struct>\n </value>\n </param>\n </params>\n</methodResponse>\n";
    assert_eq!(
        wire::decode_reply::<Vec<i64>>(Encoding::Xml, reply.as_bytes()).unwrap(),
        [1, 2]
    );
    let marked = format!("\u{feff}{reply}");
    assert_eq!(
        wire::decode_reply::<Vec<i64>>(Encoding::Xml, marked.as_bytes()).unwrap(),
        [1, 2]
    );
}

#[test]
fn keys_read_as_integers_enums_and_text() {
    let xml = "<value><struct><member><name>0</name><value>a</value></member></struct></value>";
    assert_eq!(xml_value::<BTreeMap<i64, String>>(xml)[&0], "a");
    assert_eq!(json_result::<BTreeMap<i64, String>>(r#"{"0":"a"}"#)[&0], "a");
    let value = Value::Struct(vec![("7".to_owned(), text("a"))]);
    assert_eq!(wire::from_value::<BTreeMap<u32, String>>(&value).unwrap()[&7], "a");
}

#[test]
fn no_result_reads_as_unit() {
    json_result::<()>(r#""""#);
    json_result::<()>("null");
    xml_value::<()>("<value></value>");
    xml_value::<()>("<value/>");
    xml_value::<()>("<value><nil/></value>");
    xml_value::<()>("");
    wire::from_value::<()>(&text("")).unwrap();
    wire::from_value::<()>(&Value::Null).unwrap();
    assert!(wire::from_value::<()>(&text("x")).is_err());
}

#[test]
fn the_result_of_a_task_may_be_no_xml() {
    assert_eq!(xml_value::<String>("OpaqueRef:1"), "OpaqueRef:1");
    assert_eq!(xml_value::<Value>(""), text(""));
    assert_eq!(
        xml_value::<Vec<String>>(" <value><array><data><value>a</value></data></array></value> "),
        ["a"]
    );
}

#[test]
fn json_floats_and_integers_come_in_every_form() {
    assert_eq!(
        json_result::<Vec<f64>>("[1,1.5,Infinity,-Infinity,\"inf\",1e999]")[2..5],
        [f64::INFINITY, f64::NEG_INFINITY, f64::INFINITY]
    );
    assert!(
        json_result::<Vec<f64>>("[NaN,-NaN,\"nan\"]")
            .iter()
            .all(|number| number.is_nan())
    );
    assert_eq!(
        json_result::<Vec<i64>>("[1,\"2\",-9223372036854775808,9223372036854775807]"),
        [1, 2, i64::MIN, i64::MAX]
    );
    assert_eq!(
        json_result::<Value>("[Infinity]"),
        Value::Array(vec![Value::Float(f64::INFINITY)])
    );
    assert_eq!(
        json_result::<Vec<String>>("[\"NaN\",\"a: Infinity\"]"),
        ["NaN", "a: Infinity"]
    );
}

#[test]
fn json_text_may_be_broken() {
    assert_eq!(json_result::<String>("\"a\u{1}b\nc\""), "a\u{1}b\nc");
    assert_eq!(
        json_result::<String>(r#""\ud83d\ude00 \ud83d \udc00x \u00e9 \/ \b\f\n\r\t\"\\ \ud83d\u0041""#),
        "😀 \u{fffd} \u{fffd}x é / \u{8}\u{c}\n\r\t\"\\ \u{fffd}A"
    );
    let reply = b"{\"result\":\"caf\xe9\",\"id\":1}";
    assert_eq!(
        wire::decode_reply::<String>(Encoding::Json, reply).unwrap(),
        "caf\u{fffd}"
    );
    let reply = b"<methodResponse><params><param><value>caf\xe9</value></param></params></methodResponse>";
    assert_eq!(
        wire::decode_reply::<String>(Encoding::Xml, reply).unwrap(),
        "caf\u{fffd}"
    );
}

#[test]
fn times_are_times_where_a_type_asks_for_them() {
    let noon: DateTime = "20240131T12:00:00Z".parse().unwrap();
    let value = "<value><dateTime.iso8601>20240131T12:00:00Z</dateTime.iso8601></value>";
    assert_eq!(xml_value::<Value>(value), Value::DateTime(noon));
    assert_eq!(xml_value::<DateTime>(value), noon);
    assert_eq!(xml_value::<String>(value), "20240131T12:00:00Z");
    assert_eq!(json_result::<DateTime>("\"20240131T12:00:00Z\""), noon);
    assert_eq!(wire::from_value::<DateTime>(&Value::DateTime(noon)).unwrap(), noon);
    assert_eq!(
        wire::from_value::<Value>(&Value::DateTime(noon)).unwrap(),
        Value::DateTime(noon)
    );
    assert_eq!(
        wire::from_value::<String>(&Value::DateTime(noon)).unwrap(),
        "20240131T12:00:00Z"
    );
    let odd = "<value><dateTime.iso8601>soon</dateTime.iso8601></value>";
    assert_eq!(xml_value::<Value>(odd), text("soon"));
}

#[test]
fn errors_come_in_every_shape() {
    let api = |code: &str, params: &[&str]| {
        Err(ReplyError::Api {
            code: code.to_owned(),
            params: params.iter().map(|&param| param.to_owned()).collect(),
        })
    };
    for (reply, wanted) in [
        (
            r#"{"jsonrpc":"2.0","error":{"code":1,"message":"A","data":["x","y"]},"id":1}"#,
            api("A", &["x", "y"]),
        ),
        (
            r#"{"jsonrpc":"2.0","error":{"code":1,"message":"A","data":[]},"id":1}"#,
            api("A", &[]),
        ),
        (
            r#"{"jsonrpc":"2.0","error":{"code":1,"message":"A","data":null},"id":1}"#,
            api("A", &[]),
        ),
        (
            r#"{"id":1,"error":{"data":["x"],"message":"A"},"jsonrpc":"2.0"}"#,
            api("A", &["x"]),
        ),
        (
            r#"{"jsonrpc":"2.0","error":["HOST_STILL_BOOTING"],"id":0}"#,
            api("HOST_STILL_BOOTING", &[]),
        ),
        (
            r#"{"result":null,"error":["A","x",3,["y"]],"id":1}"#,
            api("A", &["x", "3", "[\"y\"]"]),
        ),
        (r#"{"result":"","error":["A","x"],"id":1}"#, api("A", &["x"])),
        (r#"{"error":"A"}"#, api("A", &[])),
    ] {
        assert_eq!(
            wire::decode_reply::<i64>(Encoding::Json, reply.as_bytes()),
            wanted,
            "{reply}"
        );
    }
    for reply in [
        r#"{"error":null,"id":"x","result":3}"#,
        r#"{"result":3,"error":null}"#,
        r#"{"result":3}"#,
    ] {
        assert_eq!(wire::decode_reply(Encoding::Json, reply.as_bytes()), Ok(3), "{reply}");
    }

    let wrap = |inner: &str| {
        format!("<methodResponse><params><param><value>{inner}</value></param></params></methodResponse>")
    };
    let member = |name: &str, value: &str| format!("<member><name>{name}</name><value>{value}</value></member>");
    let status = |status| member("Status", status);
    let description = member(
        "ErrorDescription",
        "<array><data><value>A</value><value>x</value></data></array>",
    );
    let value = member("Value", "no number");
    for members in [
        [status("Failure"), description.clone(), value.clone()],
        [value, description.clone(), status("Failure")],
    ] {
        let reply = wrap(&format!("<struct>{}</struct>", members.concat()));
        assert_eq!(
            wire::decode_reply::<i64>(Encoding::Xml, reply.as_bytes()),
            api("A", &["x"]),
            "{reply}"
        );
    }
    let reply = wrap(&format!(
        "<struct>{}{}</struct>",
        member("Value", "3"),
        status("Success")
    ));
    assert_eq!(wire::decode_reply(Encoding::Xml, reply.as_bytes()), Ok(3));
    let fault = format!(
        "<methodResponse><fault><value><struct>{}{}</struct></value></fault></methodResponse>",
        member("faultCode", "<int>-1</int>"),
        member("faultString", "no such method")
    );
    assert_eq!(
        wire::decode_reply::<i64>(Encoding::Xml, fault.as_bytes()),
        api("Fault", &["no such method"])
    );
}

#[test]
fn a_reply_without_status_is_the_value() {
    let reply = "<?xml version=\"1.0\"?><methodResponse><params><param><value><array><data><value>VM.start</value>\
        <value>VM.get_record</value></data></array></value></param></params></methodResponse>";
    let methods: Vec<String> = wire::decode_reply(Encoding::Xml, reply.as_bytes()).unwrap();
    assert_eq!(methods, ["VM.start", "VM.get_record"]);
    let value = wire::decode_reply(Encoding::Xml, reply.as_bytes()).unwrap();
    assert_eq!(xml::bare(&value), reply.as_bytes());
    let reply = "<methodResponse><params><param><value><struct><member><name>a</name><value>1</value></member></struct>\
        </value></param></params></methodResponse>";
    assert_eq!(
        wire::decode_reply::<Map<String, i64>>(Encoding::Xml, reply.as_bytes()).unwrap()["a"],
        1
    );
}
