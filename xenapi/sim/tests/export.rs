//! What the export handlers send.

mod common;

use bytes::Bytes;
use common::{Caller, PASSWORD, args, fetch, pool};
use futures_util::StreamExt;
use xenapi::Value;
use xenapi::transport::{RequestBody, Transport};
use xenapi_sim::{DiskImage, Fault, Simulator, VmSpec};

const MIB: u64 = 1 << 20;

fn request(caller: &Caller, path_and_query: &str) -> http::Request<RequestBody> {
    let joint = if path_and_query.contains('?') { '&' } else { '?' };
    let url = format!("{}{path_and_query}{joint}session_id={}", caller.url, caller.session);
    http::Request::get(url).body(Bytes::new().into()).unwrap()
}

/// A halted VM with one disk: text at its start, in its middle and at its very end.
fn add_vm(pool: &Simulator) -> String {
    let mut disk = DiskImage::new(10 * MIB);
    disk.write(0, b"start");
    disk.write(5 * MIB + 17, b"middle");
    disk.write(10 * MIB - 3, b"end");
    pool.add_vm(VmSpec::new("one").halted().disk(disk)).unwrap()
}

/// Names and contents of the entries of an archive that ends as it should.
fn entries(archive: &[u8]) -> Vec<(String, &[u8])> {
    let mut entries = Vec::new();
    let mut rest = archive;
    while rest.first().is_some_and(|&byte| byte != 0) {
        let text =
            |range: std::ops::Range<usize>| String::from_utf8_lossy(&rest[range]).trim_end_matches('\0').to_owned();
        let stored = u32::from_str_radix(&text(148..155), 8).unwrap();
        let sum: u32 = (0..512)
            .map(|at| {
                if (148..156).contains(&at) {
                    32
                } else {
                    u32::from(rest[at])
                }
            })
            .sum();
        assert_eq!(stored, sum, "checksum of {}", text(0..100));
        assert_eq!(&rest[156..512], [0; 356], "no type, no magic");
        let size = usize::from_str_radix(&text(124..136), 8).unwrap();
        entries.push((text(0..100), &rest[512..512 + size]));
        rest = &rest[512 + size.next_multiple_of(512)..];
    }
    assert_eq!(rest, [0; 1024]);
    entries
}

#[tokio::test]
async fn an_archive_holds_the_description_and_the_blocks_with_data() {
    let (pool, caller) = pool(|builder| builder.vms(0)).await;
    let vm = add_vm(&pool);
    let uuid = caller.text("VM.get_uuid", args![vm]).await;
    let response = pool
        .transport()
        .send(request(&caller, &format!("/export?uuid={uuid}")))
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers().get("content-length"), None);
    let task = response.headers()["task-id"].to_str().unwrap().to_owned();
    let busy = fetch(&pool.transport(), request(&caller, &format!("/export?ref={vm}")))
        .await
        .unwrap();
    assert!(
        String::from_utf8(busy.1)
            .unwrap()
            .contains("OTHER_OPERATION_IN_PROGRESS")
    );
    // Nobody reads this body: the client has gone, and the task says so.
    drop(response);
    assert_eq!(caller.text("task.get_status", args![task]).await, "failure");
    let (_, archive) = fetch(&pool.transport(), request(&caller, &format!("/export?ref={vm}")))
        .await
        .unwrap();
    let entries = entries(&archive);
    let names: Vec<_> = entries.iter().map(|(name, _)| name.as_str()).collect();
    let folder = names[1].split('/').next().unwrap();
    let expected = [0, 5, 9].map(|number| [format!("{folder}/{number:08}"), format!("{folder}/{number:08}.xxhash")]);
    assert_eq!(names[0], "ova.xml");
    assert_eq!(names[1..], expected.concat());
    assert!(entries[3].1[17..].starts_with(b"middle") && entries[5].1.ends_with(b"end"));
    let hash = format!("{:016X}", twox_hash::XxHash64::oneshot(0, entries[3].1));
    assert_eq!(entries[4].1, hash.as_bytes());
    let ova: Value = xenapi::wire::xml::from_value_text(std::str::from_utf8(entries[0].1).unwrap()).unwrap();
    assert_eq!(
        ova.get("version")
            .and_then(|version| version.get("export_vsn"))
            .and_then(Value::as_int),
        Some(2)
    );
    let objects = ova.get("objects").and_then(Value::as_array).unwrap();
    let of = |class: &str| {
        objects
            .iter()
            .find(|object| common::text(object, "class") == class)
            .unwrap()
    };
    assert_eq!(common::text(of("VM").get("snapshot").unwrap(), "power_state"), "Halted");
    assert_eq!(common::text(of("VDI"), "id"), folder);
}

#[tokio::test]
async fn the_task_of_the_client_ends_with_the_transfer() {
    let (pool, caller) = pool(|builder| builder.vms(0)).await;
    let vm = add_vm(&pool);
    let task = caller.text("task.create", args!["export", ""]).await;
    let path = format!("/export?ref={vm}&task_id={task}");
    let mut body = pool
        .transport()
        .send(request(&caller, &path))
        .await
        .unwrap()
        .into_body();
    body.next().await.unwrap().unwrap();
    assert_eq!(caller.text("task.get_status", args![task]).await, "pending");
    let current = caller.ok("VM.get_current_operations", args![vm]).await;
    assert_eq!(current.get(&task).and_then(Value::as_str), Some("export"));
    while body.next().await.is_some() {}
    assert_eq!(caller.text("task.get_status", args![task]).await, "success");
    let counters = pool.counters();
    assert_eq!((counters.exports, counters.most_exports), (0, 1));
    assert!(counters.sent("/export") > 3 * MIB);
}

#[tokio::test]
async fn a_cancelled_transfer_breaks_off() {
    let (pool, caller) = pool(|builder| builder.vms(0)).await;
    let vm = add_vm(&pool);
    let task = caller.text("task.create", args!["export", ""]).await;
    let path = format!("/export?ref={vm}&task_id={task}");
    let mut body = pool
        .transport()
        .send(request(&caller, &path))
        .await
        .unwrap()
        .into_body();
    body.next().await.unwrap().unwrap();
    caller.ok("task.cancel", args![task]).await;
    assert!(body.next().await.unwrap().is_err());
    assert_eq!(caller.text("task.get_status", args![task]).await, "cancelled");
}

#[tokio::test]
async fn compression_is_as_asked_for() {
    let (pool, caller) = pool(|builder| builder.vms(0)).await;
    let vm = add_vm(&pool);
    let export = async |method: &str| {
        let path = format!("/export?ref={vm}&use_compression={method}");
        fetch(&pool.transport(), request(&caller, &path)).await.unwrap().1
    };
    let plain = export("no-such-method").await;
    let mut gunzipped = Vec::new();
    let gzip = export("true").await;
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&gzip[..]), &mut gunzipped).unwrap();
    let zstd = zstd::stream::decode_all(&export("zstd").await[..]).unwrap();
    for unpacked in [&gunzipped, &zstd] {
        assert_eq!(entries(unpacked)[1..], entries(&plain)[1..]);
    }
    assert!(gzip.len() < plain.len() / 10);
}

#[tokio::test]
async fn a_disk_that_this_host_does_not_see_is_elsewhere() {
    let (pool, caller) = pool(|builder| builder.hosts(2).vms(0)).await;
    let theirs = pool.refs("SR").into_iter().find(|sr| {
        let pbds = pool.get("SR", sr, "PBDs").unwrap();
        let name = pool.get("SR", sr, "name_label").unwrap();
        let host = pool
            .get("PBD", pbds.as_array().unwrap()[0].as_str().unwrap(), "host")
            .unwrap();
        name.as_str() == Some("Local storage") && host.as_str() == pool.find("host", "host-02").as_deref()
    });
    let vm = pool
        .add_vm(
            VmSpec::new("far")
                .halted()
                .disk(DiskImage::new(MIB))
                .sr(theirs.unwrap()),
        )
        .unwrap();
    let path = format!("/export?ref={vm}");
    let response = pool.transport().send(request(&caller, &path)).await.unwrap();
    assert_eq!(response.status(), 302);
    let location = response.headers()["location"].to_str().unwrap();
    assert!(
        location.starts_with(&format!("https://{}{path}&session_id=", pool.addresses()[1])),
        "{location}"
    );
    let there = http::Request::get(location).body(Bytes::new().into()).unwrap();
    let (status, archive) = fetch(&pool.transport(), there).await.unwrap();
    assert_eq!((status, entries(&archive).len()), (200, 5));
}

#[tokio::test]
async fn refusals_come_before_the_body() {
    let (pool, caller) = pool(|builder| builder.vms(1)).await;
    let (status, page) = fetch(&pool.transport(), request(&caller, "/export?uuid=x"))
        .await
        .unwrap();
    assert_eq!(status, 500);
    assert!(String::from_utf8(page).unwrap().contains("UUID_INVALID: [ VM; x ]"));
    let running = pool.find("VM", "web-01").unwrap();
    let (status, page) = fetch(&pool.transport(), request(&caller, &format!("/export?ref={running}")))
        .await
        .unwrap();
    assert_eq!(status, 500);
    assert!(String::from_utf8(page).unwrap().contains("VM_BAD_POWER_STATE"));
    let stranger = Caller {
        session: "OpaqueRef:x".to_owned(),
        ..caller.clone()
    };
    let task = caller.text("task.create", args!["export", ""]).await;
    let path = format!("/export?ref={running}&task_id={task}");
    assert_eq!(
        fetch(&pool.transport(), request(&stranger, &path)).await.unwrap().0,
        401
    );
    assert_eq!(caller.text("task.get_status", args![task]).await, "failure");
}

#[tokio::test]
async fn metadata_has_a_length_and_a_password_is_enough() {
    let (pool, caller) = pool(|builder| builder.vms(2)).await;
    let vm = pool.find("VM", "web-01").unwrap();
    assert_eq!(PASSWORD, "xensource");
    let request = || {
        http::Request::get(format!("{}/export_metadata?ref={vm}", caller.url))
            .header("authorization", "Basic cm9vdDp4ZW5zb3VyY2U=")
            .body(Bytes::new().into())
            .unwrap()
    };
    let response = pool.transport().send(request()).await.unwrap();
    let length: usize = response.headers()["content-length"].to_str().unwrap().parse().unwrap();
    let (_, archive) = fetch(&pool.transport(), request()).await.unwrap();
    let entries = entries(&archive);
    assert_eq!((archive.len(), entries.len()), (length, 1));
    let description = std::str::from_utf8(entries[0].1).unwrap();
    assert!(
        description.contains("web-01") && description.contains("before update"),
        "its snapshot is there too"
    );
}

#[tokio::test]
async fn a_raw_disk_is_its_bytes() {
    let (pool, caller) = pool(|builder| builder.vms(0)).await;
    let vm = add_vm(&pool);
    let vbds = caller.ok("VM.get_VBDs", args![vm]).await;
    let disk = caller.text("VBD.get_VDI", args![vbds.as_array().unwrap()[0]]).await;
    let (status, raw) = fetch(
        &pool.transport(),
        request(&caller, &format!("/export_raw_vdi?vdi={disk}")),
    )
    .await
    .unwrap();
    assert_eq!((status, raw.len() as u64), (200, 10 * MIB));
    assert!(raw.starts_with(b"start") && raw.ends_with(b"end"));
    let wrong = request(&caller, &format!("/export_raw_vdi?vdi={disk}&format=ods"));
    assert_eq!(fetch(&pool.transport(), wrong).await.unwrap(), (404, Vec::new()));
}

#[tokio::test]
async fn faults_break_a_transfer_in_each_of_its_ways() {
    let (pool, caller) = pool(|builder| builder.vms(0)).await;
    let vm = add_vm(&pool);
    let export = async |fault: Fault| {
        pool.clear_faults();
        pool.fault(fault);
        let task = caller.text("task.create", args!["export", ""]).await;
        let answer = fetch(
            &pool.transport(),
            request(&caller, &format!("/export?ref={vm}&task_id={task}")),
        )
        .await;
        let status = caller.call("task.get_status", args![task]).await;
        (answer, status.map(|status| status.as_str().unwrap().to_owned()))
    };
    let failed = Ok("failure".to_owned());
    let (answer, status) = export(Fault::on("/export").truncate(2_000_000)).await;
    assert_eq!((answer.unwrap().1.len(), status), (2_000_000, failed.clone()));
    let (answer, status) = export(Fault::on("/export").object("one").error_in_body(1_500_000)).await;
    let body = answer.unwrap().1;
    assert!(body[1_500_000..].starts_with(b"HTTP/1.1 500 Internal Error\r\n"));
    assert_eq!(status, failed);
    let (answer, status) = export(Fault::on("/export").reset()).await;
    assert!(answer.unwrap_err().to_string().contains("reset"));
    assert_eq!(status, failed);
    let (answer, status) = export(Fault::on("/export").error("NO_HOSTS_AVAILABLE", [])).await;
    assert_eq!((answer.unwrap().0, status), (500, failed.clone()));
    let (answer, status) = export(Fault::on("/export").unauthorized()).await;
    assert_eq!((answer.unwrap().0, status), (401, failed));
    let (answer, status) = export(Fault::on("/export").vanish_task()).await;
    assert_eq!(answer.unwrap().0, 200);
    assert_eq!(status.unwrap_err()[0], "HANDLE_INVALID");
}

#[tokio::test]
async fn disks_of_the_inventory_are_partitioned() {
    let (pool, caller) = pool(|builder| builder.vms(4)).await;
    let first_sector = async |name: &str| {
        let vbds = caller.ok("VM.get_VBDs", args![pool.find("VM", name).unwrap()]).await;
        for vbd in vbds.as_array().unwrap() {
            if caller.text("VBD.get_userdevice", args![vbd]).await == "0" {
                let disk = caller.text("VBD.get_VDI", args![vbd]).await;
                let path = format!("/export_raw_vdi?vdi={disk}");
                let mut body = pool
                    .transport()
                    .send(request(&caller, &path))
                    .await
                    .unwrap()
                    .into_body();
                return body.next().await.unwrap().unwrap()[..1024].to_vec();
            }
        }
        panic!("{name} has no disk 0");
    };
    let contains = |sector: &[u8], text: &str| sector.windows(text.len()).any(|window| window == text.as_bytes());
    for (name, mark) in [
        ("web-01", "GRUB"),
        ("win-01", "Missing operating system"),
        ("app-01", "EFI PART"),
    ] {
        let sector = first_sector(name).await;
        assert_eq!(sector[510..512], [0x55, 0xaa], "{name}");
        assert!(contains(&sector, mark), "{name} says {mark}");
    }
}
