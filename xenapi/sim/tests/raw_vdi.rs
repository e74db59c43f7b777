//! Single disks, out and in, in every format.

mod common;

use std::io::Write as _;
use std::process::Command;

use bytes::Bytes;
use common::{Caller, args, fetch, pool, text};
use futures_util::StreamExt;
use xenapi::Value;
use xenapi::transport::{RequestBody, Transport};
use xenapi_sim::{DiskImage, Simulator, VmSpec};

const MIB: u64 = 1 << 20;
const SIZE: u64 = 10 * MIB;

fn request(caller: &Caller, method: &str, path_and_query: &str, body: &[u8]) -> http::Request<RequestBody> {
    http::Request::builder()
        .method(method)
        .uri(format!("{}{path_and_query}&session_id={}", caller.url, caller.session))
        .body(Bytes::copy_from_slice(body).into())
        .unwrap()
}

/// A disk with text at its start, in its middle and at its very end.
async fn add_disk(pool: &Simulator, caller: &Caller) -> String {
    let mut disk = DiskImage::new(SIZE);
    disk.write(0, b"start");
    disk.write(5 * MIB + 17, b"middle");
    disk.write(SIZE - 3, b"end");
    let vm = pool.add_vm(VmSpec::new("one").halted().disk(disk)).unwrap();
    for vbd in caller.ok("VM.get_VBDs", args![vm]).await.as_array().unwrap() {
        let vdi = caller.text("VBD.get_VDI", args![vbd]).await;
        if vdi != "OpaqueRef:NULL" {
            return vdi;
        }
    }
    panic!("no disk");
}

/// An empty disk of the same size.
async fn add_empty(caller: &Caller, pool: &Simulator) -> String {
    let sr = pool.find("SR", "Shared storage").unwrap();
    let record = common::record(&[
        ("name_label", Value::String("empty".to_owned())),
        ("SR", Value::String(sr)),
        ("virtual_size", Value::Int(SIZE as i64)),
        ("type", Value::String("user".to_owned())),
        ("sharable", Value::Bool(false)),
        ("read_only", Value::Bool(false)),
        ("other_config", common::empty()),
    ]);
    caller.text("VDI.create", vec![record]).await
}

async fn get(pool: &Simulator, caller: &Caller, query: &str) -> Vec<u8> {
    let request = request(caller, "GET", &format!("/export_raw_vdi?{query}"), b"");
    let (status, bytes) = fetch(&pool.transport(), request).await.unwrap();
    assert_eq!(status, 200);
    bytes
}

/// Status, error or result of an import, and the HTTP status.
async fn put(pool: &Simulator, caller: &Caller, query: &str, body: &[u8]) -> (u16, String, Vec<String>) {
    let task = caller.text("task.create", args!["import", ""]).await;
    let request = request(caller, "PUT", &format!("/import_raw_vdi?task_id={task}&{query}"), body);
    let response = pool.transport().send(request).await.unwrap();
    let status = response.status().as_u16();
    let mut body = response.into_body();
    while body.next().await.is_some() {}
    let record = caller.ok("task.get_record", args![task]).await;
    let mut words = vec![text(&record, "result").to_owned()];
    if text(&record, "status") != "success" {
        let info = record.get("error_info").and_then(Value::as_array).unwrap();
        words = info.iter().map(|word| word.as_str().unwrap().to_owned()).collect();
    }
    (status, text(&record, "status").to_owned(), words)
}

#[tokio::test]
async fn every_format_comes_back_as_it_went() {
    let (pool, caller) = pool(|builder| builder.vms(0)).await;
    let disk = add_disk(&pool, &caller).await;
    let raw = get(&pool, &caller, &format!("vdi={disk}")).await;
    for (format, length) in [
        ("raw", SIZE as usize),
        ("VHD", 3072 + 3 * (512 + (2 << 20))),
        ("tar", 0),
        ("qcow2", (5 + 3) << 16),
    ] {
        let bytes = get(&pool, &caller, &format!("vdi={disk}&format={format}")).await;
        assert!(length == 0 || bytes.len() == length, "{format}: {}", bytes.len());
        let copy = add_empty(&caller, &pool).await;
        let (http, status, result) = put(&pool, &caller, &format!("vdi={copy}&format={format}"), &bytes).await;
        assert_eq!((http, status.as_str()), (200, "success"), "{format}: {result:?}");
        assert_eq!(result, [format!("<value>{copy}</value>")]);
        assert!(get(&pool, &caller, &format!("vdi={copy}")).await == raw, "{format}");
        let used = caller
            .ok("VDI.get_physical_utilisation", args![copy])
            .await
            .as_int()
            .unwrap();
        assert!(used < MIB as i64, "zeros take no room: {used}");
    }
}

#[tokio::test]
async fn a_difference_holds_what_changed_since() {
    let (pool, caller) = pool(|builder| builder.vms(0)).await;
    let disk = add_disk(&pool, &caller).await;
    let before = caller.text("VDI.snapshot", args![disk]).await;
    let frame = |offset: u64, data: &[u8]| {
        let length = (data.len() as u32).to_le_bytes();
        [&offset.to_le_bytes()[..], &length, data].concat()
    };
    let body = [frame(7 * MIB, &[9; 512]), frame(0, &[])].concat();
    assert_eq!(
        put(&pool, &caller, &format!("vdi={disk}&chunked=false"), &body).await.1,
        "success"
    );
    let changed = get(&pool, &caller, &format!("vdi={disk}")).await;
    for (format, length) in [("vhd", 3072 + 512 + (2 << 20)), ("qcow2", (5 + 1) << 16)] {
        let nowhere = "OpaqueRef:NULL";
        let copy = caller.text("VDI.copy", args![before, nowhere, nowhere, nowhere]).await;
        let delta = get(&pool, &caller, &format!("vdi={disk}&format={format}&base={before}")).await;
        assert_eq!(delta.len(), length, "{format}: one block");
        let (_, status, words) = put(&pool, &caller, &format!("vdi={copy}&format={format}"), &delta).await;
        assert_eq!(status, "success", "{format}: {words:?}");
        assert!(get(&pool, &caller, &format!("vdi={copy}")).await == changed, "{format}");
    }
    let old = get(&pool, &caller, &format!("vdi={before}")).await;
    assert_eq!(old[7 << 20], 0, "the snapshot is what it was");
}

#[tokio::test]
async fn ranges_leave_the_rest_alone() {
    let (pool, caller) = pool(|builder| builder.vms(0)).await;
    let disk = add_disk(&pool, &caller).await;
    let mut expected = get(&pool, &caller, &format!("vdi={disk}")).await;
    let frame = |offset: u64, data: &[u8]| {
        let length = (data.len() as u32).to_le_bytes();
        [&offset.to_le_bytes()[..], &length, data].concat()
    };
    let ranges = [(6 * MIB, 4096), (SIZE - 512, 512), (0, 512)];
    let mut body = Vec::new();
    for (offset, count) in ranges {
        body.extend(frame(offset, &vec![7; count]));
        expected[offset as usize..offset as usize + count].fill(7);
    }
    let end = frame(0, &[]);
    let (_, status, _) = put(
        &pool,
        &caller,
        &format!("vdi={disk}&chunked"),
        &[&body[..], &end].concat(),
    )
    .await;
    assert_eq!(status, "success");
    assert!(get(&pool, &caller, &format!("vdi={disk}")).await == expected);
    for bad in [
        frame(1, &[1]),
        frame(SIZE, &[1; 512]),
        frame(0, &[1; 100]),
        b"short".to_vec(),
    ] {
        let task = caller.text("task.create", args!["import", ""]).await;
        let path = format!("/import_raw_vdi?vdi={disk}&chunked=1&task_id={task}");
        let response = pool
            .transport()
            .send(request(&caller, "PUT", &path, &bad))
            .await
            .unwrap();
        let mut body = response.into_body();
        // The last one waits for the rest, until the client gives up.
        let _ = tokio::time::timeout(std::time::Duration::from_millis(50), body.next()).await;
        drop(body);
        let info = caller.ok("task.get_error_info", args![task]).await;
        assert_eq!(info.as_array().unwrap()[0].as_str(), Some("VDI_IO_ERROR"), "{bad:.20?}");
    }
    assert!(get(&pool, &caller, &format!("vdi={disk}")).await == expected);
}

#[tokio::test]
async fn wrong_uploads_fail_each_in_its_way() {
    let (pool, caller) = pool(|builder| builder.vms(1)).await;
    let disk = add_disk(&pool, &caller).await;
    let sr = pool.find("SR", "Shared storage").unwrap();
    let image = vec![1; 4096];
    let too_long = vec![1; SIZE as usize + 512];
    let mut fixed = vec![0; 1 << 20];
    fixed.extend(b"conectix");
    fixed.resize((1 << 20) + 512, 0);
    let cases: [(String, &[u8], u16, &str); 9] = [
        (format!("vdi={disk}"), &image, 200, "success"),
        (format!("vdi={disk}"), &too_long, 200, "VDI_IO_ERROR"),
        (format!("vdi={disk}&format=vhd"), &fixed, 200, "VDI_IO_ERROR"),
        (format!("vdi={disk}&format=qcow2"), &fixed, 200, "VDI_IO_ERROR"),
        (format!("vdi={disk}&format=qcow3"), &image, 404, "INTERNAL_ERROR"),
        (format!("vdi={disk}&format=vhd&chunked"), &image, 404, "INTERNAL_ERROR"),
        ("format=raw".to_owned(), &image, 400, "VDI_MISSING"),
        (format!("sr_id={sr}&format=vhd"), &image, 400, "VDI_MISSING"),
        (format!("sr_id={sr}"), &image, 200, "success"),
    ];
    for (query, body, http, outcome) in cases {
        let (status, ended, words) = put(&pool, &caller, &query, body).await;
        let got = if ended == "success" { "success" } else { &words[0] };
        assert_eq!((status, got), (http, outcome), "{query}: {words:?}");
    }
    let running = pool.find("VM", "web-01").unwrap();
    let vbds = caller.ok("VM.get_VBDs", args![running]).await;
    for vbd in vbds.as_array().unwrap() {
        let used = caller.text("VBD.get_VDI", args![vbd]).await;
        if used != "OpaqueRef:NULL" {
            let (status, _, words) = put(&pool, &caller, &format!("vdi={used}"), &image).await;
            assert_eq!((status, words[0].as_str()), (200, "VDI_IN_USE"));
        }
    }
}

#[tokio::test]
async fn qemu_reads_the_images() {
    if Command::new("qemu-img").arg("--version").output().is_err() {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "qemu-img is missing");
        eprintln!("skipped: qemu-img is missing");
        return;
    }
    let (pool, caller) = pool(|builder| builder.vms(0)).await;
    let disk = add_disk(&pool, &caller).await;
    let folder = tempfile::tempdir().unwrap();
    let save = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::File::create(&path).unwrap().write_all(bytes).unwrap();
        path
    };
    let raw = save("disk.raw", &get(&pool, &caller, &format!("vdi={disk}")).await);
    let vhd = save(
        "disk.vhd",
        &get(&pool, &caller, &format!("vdi={disk}&format=vhd")).await,
    );
    let exact = format!(
        "driver=vpc,force_size_calc=current_size,file.filename={}",
        vhd.display()
    );
    let compared = Command::new("qemu-img")
        .args([
            "compare",
            "--image-opts",
            &format!("driver=raw,file.filename={}", raw.display()),
            &exact,
        ])
        .output()
        .unwrap();
    assert!(
        compared.status.success(),
        "{}",
        String::from_utf8_lossy(&compared.stdout)
    );
    // And the other way: an image of qemu's own making.
    let theirs = folder.path().join("theirs.vhd");
    let made = Command::new("qemu-img")
        .args(["convert", "-f", "raw", "-O", "vpc", "-o", "force_size=on"])
        .args([&raw, &theirs])
        .status()
        .unwrap();
    assert!(made.success());
    let copy = add_empty(&caller, &pool).await;
    let image = std::fs::read(theirs).unwrap();
    assert_eq!(
        put(&pool, &caller, &format!("vdi={copy}&format=vhd"), &image).await.1,
        "success"
    );
    assert!(get(&pool, &caller, &format!("vdi={copy}")).await == std::fs::read(raw).unwrap());
}
