//! What the import handler makes of an archive.

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::{Caller, args, fetch, pool, text};
use futures_util::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use xenapi::Value;
use xenapi::transport::{RequestBody, Transport};
use xenapi::wire::Encoding;
use xenapi_sim::{DiskImage, Fault, Simulator, VmSpec};

const MIB: u64 = 1 << 20;

fn request(caller: &Caller, method: &str, path_and_query: &str, body: &[u8]) -> http::Request<RequestBody> {
    let joint = if path_and_query.contains('?') { '&' } else { '?' };
    http::Request::builder()
        .method(method)
        .uri(format!(
            "{}{path_and_query}{joint}session_id={}",
            caller.url, caller.session
        ))
        .body(Bytes::copy_from_slice(body).into())
        .unwrap()
}

/// A halted VM with two disks.
fn add_vm(pool: &Simulator) -> String {
    let mut system = DiskImage::new(10 * MIB);
    system.write(0, b"start");
    system.write(5 * MIB + 17, b"middle");
    let mut data = DiskImage::new(4 * MIB);
    data.write(4 * MIB - 3, b"end");
    pool.add_vm(
        VmSpec::new("one")
            .description("the first")
            .halted()
            .disk(system)
            .disk(data),
    )
    .unwrap()
}

async fn export(pool: &Simulator, caller: &Caller, query: &str) -> Vec<u8> {
    let request = request(caller, "GET", &format!("/export?{query}"), b"");
    let (status, archive) = fetch(&pool.transport(), request).await.unwrap();
    assert_eq!(status, 200);
    archive
}

/// How an import ended: its status and its result, or its error.
async fn outcome(caller: &Caller, task: &str) -> (String, Vec<String>) {
    let record = caller.ok("task.get_record", args![task]).await;
    let status = text(&record, "status").to_owned();
    let words = if status == "success" {
        xenapi::wire::xml::from_value_text::<Vec<String>>(text(&record, "result")).unwrap()
    } else {
        let info = record.get("error_info").and_then(Value::as_array).unwrap();
        info.iter().map(|word| word.as_str().unwrap().to_owned()).collect()
    };
    (status, words)
}

async fn import(pool: &Simulator, caller: &Caller, query: &str, archive: &[u8]) -> (String, Vec<String>) {
    let task = caller.text("task.create", args!["import", ""]).await;
    let request = request(caller, "PUT", &format!("/import?task_id={task}{query}"), archive);
    let response = pool.transport().send(request).await.unwrap();
    assert_eq!(response.status(), 200);
    let mut body = response.into_body();
    while body.next().await.is_some() {}
    outcome(caller, &task).await
}

async fn disks(pool: &Simulator, caller: &Caller, vm: &str) -> Vec<Vec<u8>> {
    let mut disks = Vec::new();
    for vbd in caller.ok("VM.get_VBDs", args![vm]).await.as_array().unwrap() {
        if caller.text("VBD.get_type", args![vbd]).await == "CD" {
            continue;
        }
        let device = caller.text("VBD.get_userdevice", args![vbd]).await;
        let vdi = caller.text("VBD.get_VDI", args![vbd]).await;
        let path = format!("/export_raw_vdi?vdi={vdi}");
        let (_, bytes) = fetch(&pool.transport(), request(caller, "GET", &path, b""))
            .await
            .unwrap();
        disks.push((device, bytes));
    }
    disks.sort();
    disks.into_iter().map(|(_, bytes)| bytes).collect()
}

#[tokio::test]
async fn what_was_exported_comes_back() {
    let (pool, caller) = pool(|builder| builder.vms(0)).await;
    let vm = add_vm(&pool);
    let mac = async |vm: &str| {
        let vifs = caller.ok("VM.get_VIFs", args![vm]).await;
        caller.text("VIF.get_MAC", args![vifs.as_array().unwrap()[0]]).await
    };
    for (method, restore) in [("none", false), ("true", true), ("zstd", false)] {
        let archive = export(&pool, &caller, &format!("ref={vm}&use_compression={method}")).await;
        let (status, vms) = import(&pool, &caller, &format!("&restore={restore}"), &archive).await;
        assert_eq!((status.as_str(), vms.len()), ("success", 1), "{method}: {vms:?}");
        let copy = vms[0].as_str();
        let record = caller.ok("VM.get_record", args![copy]).await;
        assert_eq!(
            [text(&record, "name_label"), text(&record, "power_state")],
            ["one", "Halted"]
        );
        assert_ne!(copy, vm);
        assert_eq!(mac(copy).await == mac(&vm).await, restore);
        assert_eq!(disks(&pool, &caller, copy).await, disks(&pool, &caller, &vm).await);
        assert_eq!(record.get("current_operations"), Some(&common::empty()));
        assert_eq!(
            record.get("VBDs").and_then(Value::as_array).unwrap().len(),
            3,
            "two disks and a drive"
        );
        let task = record
            .get("other_config")
            .and_then(|map| map.get("import_task"))
            .unwrap();
        let config = caller.ok("task.get_other_config", args![task]).await;
        assert_eq!(text(&config, "object_creation"), "complete");
    }
    assert!(pool.counters().received("/import") > 4 * MIB);
}

#[tokio::test]
async fn a_damaged_archive_leaves_nothing_behind() {
    let (pool, caller) = pool(|builder| builder.vms(0)).await;
    let vm = add_vm(&pool);
    let archive = export(&pool, &caller, &format!("ref={vm}")).await;
    let counts = || ["VM", "VDI", "VBD", "VIF", "VM_metrics"].map(|class| pool.refs(class).len());
    let before = counts();
    let mut flipped = archive.clone();
    let at = flipped.windows(6).position(|window| window == b"middle").unwrap();
    flipped[at] ^= 1;
    let (status, error) = import(&pool, &caller, "", &flipped).await;
    assert_eq!((status.as_str(), error[0].as_str()), ("failure", "IMPORT_ERROR"));
    assert!(
        error[1].starts_with("Stream_vdi.Invalid_checksum(\"Block Ref:"),
        "{error:?}"
    );
    assert_eq!(counts(), before);
    let (status, vms) = import(&pool, &caller, "&force=true", &flipped).await;
    assert_eq!(status, "success", "{vms:?}");
    assert_ne!(disks(&pool, &caller, &vms[0]).await, disks(&pool, &caller, &vm).await);

    let before = counts();
    let renamed = [b"xva.ovl".as_slice(), &archive[7..]].concat();
    for (bytes, code) in [
        (&renamed[..], "IMPORT_ERROR_UNEXPECTED_FILE"),
        (
            &b"this is no archive at all".repeat(50)[..],
            "IMPORT_ERROR_UNEXPECTED_FILE",
        ),
        (&[0x1f, 0x8b, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0][..], "IMPORT_ERROR"),
    ] {
        let (status, error) = import(&pool, &caller, "", bytes).await;
        assert_eq!((status.as_str(), error[0].as_str()), ("failure", code), "{error:?}");
    }
    assert_eq!(counts(), before);
}

#[tokio::test]
async fn a_truncated_archive_is_waited_for() {
    let (pool, caller) = pool(|builder| builder.vms(0)).await;
    let vm = add_vm(&pool);
    let archive = export(&pool, &caller, &format!("ref={vm}")).await;
    let before = pool.refs("VDI").len();
    let task = caller.text("task.create", args!["import", ""]).await;
    let cut = &archive[..archive.len() / 2];
    let request = request(&caller, "PUT", &format!("/import?task_id={task}"), cut);
    let mut body = pool.transport().send(request).await.unwrap().into_body();
    let waited = tokio::time::timeout(Duration::from_millis(50), body.next()).await;
    assert!(waited.is_err(), "no answer");
    assert_eq!(outcome(&caller, &task).await.0, "pending");
    assert!(pool.refs("VDI").len() > before, "the disks are there");
    drop(body);
    assert_eq!(outcome(&caller, &task).await.1, ["IMPORT_ERROR_PREMATURE_EOF"]);
    assert_eq!(pool.refs("VDI").len(), before);
    // Inside of a compression the announced length counts.
    let packed = export(&pool, &caller, &format!("ref={vm}&use_compression=zstd")).await;
    let (_, error) = import(&pool, &caller, "", &packed[..packed.len() - 40]).await;
    assert_eq!(error, ["IMPORT_ERROR_PREMATURE_EOF"]);
}

#[tokio::test]
async fn refusals_come_before_the_body_is_read() {
    let (pool, caller) = pool(|builder| builder.hosts(2).vms(0)).await;
    let library = pool.find("SR", "ISO library").unwrap();
    for (query, expected) in [
        ("sr_id=OpaqueRef:none", "NO_HOSTS_AVAILABLE"),
        (&format!("sr_id={library}"), "SR_OPERATION_NOT_SUPPORTED"),
    ] {
        let request = request(&caller, "PUT", &format!("/import?{query}"), b"anything");
        let (status, page) = fetch(&pool.transport(), request).await.unwrap();
        assert_eq!(status, 500);
        assert!(String::from_utf8(page).unwrap().contains(expected));
    }
    let mut chunked = request(&caller, "PUT", "/import", b"anything");
    chunked
        .headers_mut()
        .insert("transfer-encoding", "chunked".parse().unwrap());
    let (status, both) = fetch(&pool.transport(), chunked).await.unwrap();
    assert_eq!(status, 403);
    let both = String::from_utf8(both).unwrap();
    assert!(
        both.contains("HTTP/1.1 500 ") && both.contains("IMPORT_ERROR_CANNOT_HANDLE_CHUNKED"),
        "{both}"
    );
    let local = pool.refs("SR").into_iter().find(|sr| {
        let pbds = pool.get("SR", sr, "PBDs").unwrap();
        let pbds = pbds.as_array().unwrap();
        let host = pool.get("PBD", pbds[0].as_str().unwrap(), "host").unwrap();
        pbds.len() == 1 && host.as_str() == pool.find("host", "host-02").as_deref()
    });
    let path = format!("/import?sr_id={}", local.unwrap());
    let response = pool
        .transport()
        .send(request(&caller, "PUT", &path, b""))
        .await
        .unwrap();
    assert_eq!(response.status(), 302);
    let location = response.headers()["location"].to_str().unwrap();
    assert!(
        location.starts_with(&format!("https://{}{path}&session_id=", pool.addresses()[1])),
        "{location}"
    );
}

#[tokio::test]
async fn metadata_finds_the_disks_in_the_pool() {
    let (pool, caller) = pool(|builder| builder.vms(0)).await;
    let vm = add_vm(&pool);
    let metadata = async || {
        let request = request(&caller, "GET", &format!("/export_metadata?ref={vm}"), b"");
        fetch(&pool.transport(), request).await.unwrap().1
    };
    let archive = metadata().await;
    let send = async |query: &str| {
        let task = caller.text("task.create", args!["import", ""]).await;
        let path = format!("/import_metadata?task_id={task}{query}");
        let response = pool
            .transport()
            .send(request(&caller, "PUT", &path, &archive))
            .await
            .unwrap();
        let mut body = response.into_body();
        while body.next().await.is_some() {}
        outcome(&caller, &task).await
    };
    let count = pool.refs("VM").len();
    let (status, _) = send("&dry_run=true").await;
    assert_eq!((status.as_str(), pool.refs("VM").len()), ("success", count));
    let (status, vms) = send("").await;
    assert_eq!(status, "success", "{vms:?}");
    assert_eq!(disks(&pool, &caller, &vms[0]).await, disks(&pool, &caller, &vm).await);
    for vdi in pool.refs("VDI") {
        pool.remove("VDI", &vdi);
    }
    assert_eq!(send("").await.1, ["IMPORT_ERROR_ATTACHED_DISKS_NOT_FOUND"]);
    assert_eq!(send("&force=true").await.0, "success");
}

#[tokio::test]
async fn faults_strike_uploads_too() {
    let (pool, caller) = pool(|builder| builder.vms(0)).await;
    let vm = add_vm(&pool);
    let archive = export(&pool, &caller, &format!("ref={vm}")).await;
    let try_with = async |fault: Fault| {
        pool.clear_faults();
        pool.fault(fault);
        let task = caller.text("task.create", args!["import", ""]).await;
        let request = request(&caller, "PUT", &format!("/import?task_id={task}"), &archive);
        let answer = tokio::time::timeout(Duration::from_millis(100), fetch(&pool.transport(), request)).await;
        (answer, outcome(&caller, &task).await.0)
    };
    let (answer, status) = try_with(Fault::on("/import").reset()).await;
    assert!(answer.unwrap().unwrap_err().to_string().contains("reset"));
    assert_eq!(status, "failure");
    let (answer, status) = try_with(Fault::on("/import").error("SR_FULL", ["1", "0"])).await;
    assert_eq!((answer.unwrap().unwrap().0, status.as_str()), (500, "failure"));
    let (answer, status) = try_with(Fault::on("/import").stall(100_000)).await;
    assert!(answer.is_err(), "nothing comes");
    assert_eq!(status, "failure", "as the client has gone");
    let count = pool.counters().received("/import");
    let (answer, status) = try_with(Fault::on("/import").truncate(50_000)).await;
    assert!(answer.unwrap().is_err());
    assert_eq!(
        (status.as_str(), pool.counters().received("/import") - count),
        ("failure", 50_000)
    );
    assert_eq!(
        (pool.counters().imports, pool.refs("VM").len()),
        (0, 8),
        "six templates, dom0, one"
    );
}

/// Sends an upload over a socket and reads to the end, which may be a reset.
async fn put(url: &str, path: &str, body: &[u8]) -> (String, bool) {
    let mut stream = TcpStream::connect(url.split_once("://").unwrap().1).await.unwrap();
    let head = format!(
        "PUT {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut first = [0; 15];
    stream.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200 OK", "before a byte of the body was sent");
    let _ = stream.write_all(body).await;
    let mut reply = Vec::new();
    let reset = stream.read_to_end(&mut reply).await.is_err();
    (String::from_utf8_lossy(&reply).into_owned(), reset)
}

#[tokio::test]
async fn the_connection_ends_as_xapis_does() {
    let server = Simulator::builder()
        .vms(0)
        .build()
        .unwrap()
        .listen("127.0.0.1:0")
        .await
        .unwrap();
    let pool = server.pool();
    let mut caller = Caller::new(pool, Encoding::Json);
    caller.login().await;
    let vm = add_vm(pool);
    let archive = export(pool, &caller, &format!("ref={vm}")).await;
    let count = || pool.refs("VM").len();
    let path = format!("/import?session_id={}", caller.session);
    let before = count();
    let (_, reset) = put(server.url(), &path, &archive).await;
    assert!(reset, "the zeros at the end are not read");
    assert_eq!(count(), before + 1);
    let without_end = &archive[..archive.len() - 1024];
    let (reply, reset) = put(server.url(), &path, without_end).await;
    assert!(!reset && !reply.contains("500"), "{reply}");
    assert_eq!(count(), before + 2);
    let packed = export(pool, &caller, &format!("ref={vm}&use_compression=zstd")).await;
    assert!(!put(server.url(), &path, &packed).await.1);
    assert_eq!(count(), before + 3);
    let (reply, _) = put(server.url(), &path, &packed[..packed.len() / 2]).await;
    assert!(reply.contains("HTTP/1.1 500 Internal Error\r\n"), "{reply}");
    assert!(reply.contains("IMPORT_ERROR_PREMATURE_EOF"), "{reply}");
}
