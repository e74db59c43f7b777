//! The wire itself: raw requests over sockets, byte for byte.

mod common;

use std::time::Duration;

use common::PASSWORD;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use xenapi_sim::{Fault, Server, Simulator};

async fn server() -> Server {
    Simulator::builder()
        .hosts(2)
        .vms(2)
        .build()
        .unwrap()
        .listen("127.0.0.1:0")
        .await
        .unwrap()
}

fn authority(url: &str) -> &str {
    url.split_once("://").unwrap().1
}

/// Sends text and reads until the server closes.
async fn exchange(url: &str, text: &str) -> String {
    let mut stream = TcpStream::connect(authority(url)).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).await.unwrap();
    String::from_utf8(reply).unwrap()
}

fn post(path: &str, body: &str, headers: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\ncontent-length: {}\r\n{headers}\r\n{body}",
        body.len()
    )
}

fn login() -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"session.login_with_password","params":["root","{PASSWORD}"]}}"#)
}

const BAD: &str = r#"{"jsonrpc":"2.0","id":7,"method":"VM.get_all","params":["garbage"]}"#;

#[tokio::test]
async fn replies_have_the_recorded_heads() {
    let server = server().await;
    let reply = exchange(server.url(), &post("/jsonrpc", BAD, "connection: close\r\n")).await;
    let expected = "HTTP/1.1 200 OK\r\ncontent-length: 93\r\nconnection: close\r\ncache-control: no-cache, no-store\r\n\
                    content-type: application/json\r\nAccess-Control-Allow-Origin: *\r\n\
                    Access-Control-Allow-Headers: X-Requested-With\r\n\r\n\
                    {\"jsonrpc\":\"2.0\",\"error\":{\"code\":1,\"message\":\"SESSION_INVALID\",\"data\":[\"garbage\"]},\"id\":7}";
    let (head, body) = expected.split_once("\r\n\r\n").unwrap();
    assert_eq!(
        reply,
        format!("{}\r\n\r\n{body}", head.replace("93", &body.len().to_string()))
    );
}

#[tokio::test]
async fn the_three_encodings_are_told_apart() {
    let server = server().await;
    let old = r#"{"id":7,"method":"VM.get_all","params":["garbage"]}"#;
    let reply = exchange(server.url(), &post("/jsonrpc", old, "connection: close\r\n")).await;
    assert!(
        reply.ends_with(r#"{"result":null,"error":["SESSION_INVALID","garbage"],"id":7}"#),
        "{reply}"
    );
    let xml = "<methodCall><methodName>VM.get_all</methodName><params><param><value>garbage</value></param></params>\
               </methodCall>";
    for path in ["/", "/RPC2", "/json", "/anything/else"] {
        let reply = exchange(server.url(), &post(path, xml, "connection: close\r\n")).await;
        assert!(reply.contains("content-type: text/xml"), "{reply}");
        let expected = "<value>Failure</value></member><member><name>ErrorDescription</name><value><array><data>\
                        <value>SESSION_INVALID</value><value>garbage</value></data></array></value></member></struct>\
                        </value></param></params></methodResponse>";
        assert!(reply.ends_with(expected), "{reply}");
    }
}

#[tokio::test]
async fn counts_of_objects_are_tagged_in_xml() {
    let server = server().await;
    let call = |method: &str, params: &[&str]| {
        let params: String = params
            .iter()
            .map(|value| format!("<param><value>{value}</value></param>"))
            .collect();
        let body = format!("<methodCall><methodName>{method}</methodName><params>{params}</params></methodCall>");
        post("/", &body, "connection: close\r\n")
    };
    let reply = exchange(server.url(), &call("session.login_with_password", &["root", PASSWORD])).await;
    let session = reply
        .split("<name>Value</name><value>")
        .nth(1)
        .unwrap()
        .split('<')
        .next()
        .unwrap()
        .to_owned();
    let classes = "<array><data><value>task</value></data></array>";
    let reply = exchange(server.url(), &call("event.from", &[&session, classes, "", "0"])).await;
    assert!(
        reply.contains("<member><name>host</name><value><i4>2</i4></value></member>"),
        "{reply}"
    );
    assert!(reply.contains("<name>token</name><value>0000"), "{reply}");
    let reply = exchange(server.url(), &call("system.listMethods", &[])).await;
    assert!(
        reply.contains("<params><param><value><array><data><value>"),
        "no Status"
    );
}

#[tokio::test]
async fn what_is_no_call_is_answered_with_a_page() {
    let server = server().await;
    let batch = format!("[{BAD}]");
    let null_id = BAD.replace(":7", ":null");
    for (path, body) in [
        ("/jsonrpc", ""),
        ("/jsonrpc", "{"),
        ("/jsonrpc", &batch),
        ("/jsonrpc", &null_id),
        ("/", BAD),
        ("/", ""),
    ] {
        let reply = exchange(server.url(), &post(path, body, "")).await;
        assert!(
            reply.starts_with("HTTP/1.1 500 Internal Error\r\ncontent-length: "),
            "{path} {body}: {reply}"
        );
        assert!(
            reply.contains("content-type: text/html\r\nconnection: close\r\n"),
            "{reply}"
        );
        assert!(reply.contains("<h1>HTTP 500 internal server error</h1>"), "{reply}");
    }
    let chunked = format!(
        "POST /jsonrpc HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{BAD}\r\n0\r\n\r\n",
        BAD.len()
    );
    assert!(exchange(server.url(), &chunked).await.starts_with("HTTP/1.1 500 "));
    let long = post("/jsonrpc", &" ".repeat(300 * 1024 + 1), "");
    assert!(exchange(server.url(), &long).await.starts_with("HTTP/1.1 500 "));
}

#[tokio::test]
async fn methods_and_paths_have_their_statuses() {
    let server = server().await;
    for (request, start) in [
        ("GET / HTTP/1.1\r\nconnection: close\r\n\r\n", "HTTP/1.1 200 OK"),
        ("GET / HTTP/1.0\r\n\r\n", "HTTP/1.0 200 OK"),
        ("HEAD / HTTP/1.1\r\nconnection: close\r\n\r\n", "HTTP/1.1 501 "),
        (
            "GET /no/such/file HTTP/1.1\r\nconnection: close\r\n\r\n",
            "HTTP/1.1 404 ",
        ),
        ("DELETE / HTTP/1.1\r\nconnection: close\r\n\r\n", "HTTP/1.1 403 "),
        ("PUT /services HTTP/1.1\r\ncontent-length: 0\r\n\r\n", "HTTP/1.1 501 "),
        ("PUT /import HTTP/1.1\r\ncontent-length: 0\r\n\r\n", "HTTP/1.1 401 "),
        (
            "OPTIONS /jsonrpc HTTP/1.1\r\nconnection: close\r\n\r\n",
            "HTTP/1.1 200 OK",
        ),
        ("this is not HTTP\r\n\r\n", "HTTP/1.1 400 "),
    ] {
        let reply = exchange(server.url(), request).await;
        assert!(reply.starts_with(start), "{request}: {reply}");
    }
    let endless = format!("GET / HTTP/1.1\r\nx: {}", "x".repeat(80 << 10));
    assert!(exchange(server.url(), &endless).await.starts_with("HTTP/1.1 431 "));
    let reply = exchange(server.url(), "GET /export?uuid=x HTTP/1.1\r\n\r\n").await;
    assert!(
        reply.starts_with("HTTP/1.1 401 Unauthorised\r\ncontent-length: 96\r\n"),
        "{reply}"
    );
    assert!(
        reply.contains("WWW-Authenticate: Basic realm=\"get_export\"\r\n"),
        "{reply}"
    );
}

#[tokio::test]
async fn a_connection_stays_and_takes_several_requests_at_once() {
    let server = server().await;
    let mut stream = TcpStream::connect(authority(server.url())).await.unwrap();
    let both = post("/jsonrpc", &login(), "") + &post("/jsonrpc", BAD, "connection: close\r\n");
    stream.write_all(both.as_bytes()).await.unwrap();
    let mut replies = String::new();
    stream.read_to_string(&mut replies).await.unwrap();
    assert_eq!(replies.matches("HTTP/1.1 200 OK").count(), 2, "{replies}");
    assert!(
        replies.contains("connection: keep-alive") && replies.contains("OpaqueRef:"),
        "{replies}"
    );
    assert_eq!(server.pool().counters().connections, 1);
}

#[tokio::test]
async fn a_reset_is_a_reset() {
    let server = server().await;
    server.pool().fault(Fault::on("session.login_with_password").reset());
    let mut stream = TcpStream::connect(authority(server.url())).await.unwrap();
    stream
        .write_all(post("/jsonrpc", &login(), "").as_bytes())
        .await
        .unwrap();
    let mut reply = Vec::new();
    let error = stream.read_to_end(&mut reply).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn each_host_has_a_port_and_members_name_the_coordinators() {
    let server = server().await;
    assert_eq!(server.urls().len(), 2);
    let reply = exchange(&server.urls()[1], &post("/jsonrpc", &login(), "connection: close\r\n")).await;
    let expected = format!(r#""message":"HOST_IS_SLAVE","data":["{}"]"#, authority(server.url()));
    assert!(reply.contains(&expected), "{reply}");
}

#[tokio::test]
async fn ports_close_with_the_server() {
    let server = server().await;
    let address = authority(server.url()).to_owned();
    drop(server);
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn tls_shows_the_certificate_that_was_told() {
    let server = Simulator::builder().vms(0).start().await.unwrap();
    let connect = async |pin: &str| common::tls::connect(server.url(), pin).await;
    let pin = server.fingerprint_sha256().unwrap();
    let mut stream = connect(pin).await.unwrap();
    stream
        .write_all(post("/jsonrpc", &login(), "connection: close\r\n").as_bytes())
        .await
        .unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await.unwrap();
    assert!(reply.contains("OpaqueRef:"), "{reply}");
    assert!(connect(&pin.replace(':', "-")).await.is_err());
}
