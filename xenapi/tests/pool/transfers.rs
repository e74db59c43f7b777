//! What goes over the HTTP handlers beside exports of VMs.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::AsyncReadExt;
use xenapi::{Client, Compression, DiskFormat, Download, Error, ErrorCode, Ref, Source, Sr, Vdi, Vm};
use xenapi_sim::{DiskImage, Fault, Server, Simulator, VmSpec};

use crate::{eventually, halted_and_running, pool};

/// A pool behind real TLS, and a client of it.
async fn over_tls(hosts: usize, vms: usize) -> (Server, Client) {
    let simulator = Simulator::builder().hosts(hosts).vms(vms).build().unwrap();
    let server = simulator.listen_tls("127.0.0.1:0").await.unwrap();
    let pin = server.fingerprint_sha256().unwrap().to_owned();
    let client = Client::connect(server.url())
        .pin_sha256(&pin)
        .login("root", "xensource")
        .await
        .unwrap();
    (server, client)
}

pub(crate) async fn whole(mut download: Download) -> Vec<u8> {
    let mut bytes = Vec::new();
    download.read_to_end(&mut bytes).await.expect("a whole download");
    bytes
}

/// A halted VM with this disk.
fn vm_with(simulator: &Simulator, name: &str, disk: DiskImage) -> Ref<Vm> {
    let spec = VmSpec::new(name).halted().disk(disk);
    simulator.add_vm(spec).unwrap().parse().unwrap()
}

async fn disk_of(client: &Client, vm: Ref<Vm>) -> Ref<Vdi> {
    let vbds = client.vm(vm).vbds().await.unwrap();
    for vbd in vbds {
        let vdi = client.vbd(vbd).vdi().await.unwrap();
        if !vdi.is_null() {
            return vdi;
        }
    }
    panic!("no disk");
}

async fn default_sr(client: &Client) -> Ref<Sr> {
    client
        .pools()
        .all_records()
        .await
        .unwrap()
        .values()
        .next()
        .unwrap()
        .default_sr
}

/// Some blocks of text in a disk of mostly nothing.
fn some_disk() -> DiskImage {
    let mut disk = DiskImage::new(16 << 20);
    for block in [0u64, 3, 9, 15] {
        let text: Vec<u8> = (0..1 << 20)
            .map(|place: u64| ((place * (block + 7)) >> 5) as u8)
            .collect();
        disk.write(block << 20, &text);
    }
    disk
}

#[tokio::test]
async fn what_was_exported_is_imported_again() {
    let (server, client) = over_tls(1, 0).await;
    let vm = vm_with(server.pool(), "original", some_disk());
    let raw = whole(
        client
            .vdi(disk_of(&client, vm).await)
            .export_raw(DiskFormat::Raw)
            .await
            .unwrap(),
    )
    .await;
    assert_eq!(raw.len(), 16 << 20);
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let archive = whole(client.vm(vm).export().compression(compression).await.unwrap()).await;
        let sent = Arc::new(Mutex::new(0));
        let count = sent.clone();
        let imported = client
            .vms()
            .import_xva(Source::bytes(archive.clone()))
            .on_sent(move |bytes| *count.lock().unwrap() = bytes)
            .await
            .unwrap();
        let [copy] = imported[..] else { panic!("{imported:?}") };
        let copied = whole(
            client
                .vdi(disk_of(&client, copy).await)
                .export_raw(DiskFormat::Raw)
                .await
                .unwrap(),
        )
        .await;
        assert!(copied == raw, "{compression:?}");
        assert_eq!(*sent.lock().unwrap(), archive.len() as u64);
    }
    assert!(server.pool().refs("task").is_empty(), "tasks are left");
}

#[tokio::test]
async fn an_export_of_unknown_length_is_piped_into_an_import() {
    let (server, client) = over_tls(1, 0).await;
    let vm = vm_with(server.pool(), "original", some_disk());
    let export = client.vm(vm).export().await.unwrap();
    let pieces = futures_util::TryStreamExt::map_err(export, std::io::Error::other);
    let imported = client
        .vms()
        .import_xva(Source::marked_end(pieces, 1 << 40))
        .await
        .unwrap();
    assert_eq!(client.vm(imported[0]).name_label().await.unwrap(), "original");
}

#[tokio::test]
async fn an_archive_that_breaks_off_is_no_import() {
    let (server, client) = over_tls(1, 0).await;
    let vm = vm_with(server.pool(), "original", some_disk());
    let archive = whole(client.vm(vm).export().await.unwrap()).await;
    let before = server.pool().refs("VM").len();
    let half = archive[..archive.len() / 2].to_vec();
    let error = client
        .vms()
        .import_xva(Source::bytes(half.clone()))
        .silence_limit(Duration::from_secs(2))
        .await;
    assert!(error.is_err());
    let short = Source::reader(std::io::Cursor::new(half), archive.len() as u64);
    let error = client.vms().import_xva(short).await.unwrap_err();
    assert!(error.to_string().contains("too early"), "{error}");
    eventually("nothing is left", || {
        server.pool().refs("VM").len() == before && server.pool().refs("task").is_empty()
    })
    .await;
}

#[tokio::test]
async fn a_wrong_sr_is_said() {
    let (server, client) = over_tls(1, 0).await;
    let vm = vm_with(server.pool(), "original", some_disk());
    let archive = whole(client.vm(vm).export().await.unwrap()).await;
    let gone: Ref<Sr> = "OpaqueRef:00000000-0000-4000-8000-00000000dead".parse().unwrap();
    let error = client
        .vms()
        .import_xva(Source::bytes(archive))
        .sr(gone)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Http(_) | Error::Api(_)), "{error}");
}

#[tokio::test]
async fn a_disk_goes_up_sparse_and_only_its_ranges_are_sent() {
    let (server, client) = over_tls(1, 0).await;
    let size: u64 = 4 << 30;
    let mut record = xenapi::VdiRecord::default();
    record.name_label = "big".into();
    record.sr = default_sr(&client).await;
    record.virtual_size = size as i64;
    record.kind = xenapi::vdi::VdiType::User;
    let vdi = client.vdis().create(&record).await.unwrap();
    let ranges = [0..3 << 20, (1 << 30)..(1 << 30) + 4096, size - 512..size];
    let content =
        |range: std::ops::Range<u64>| -> Bytes { range.map(|place| (place >> 9) as u8 | 1).collect::<Vec<_>>().into() };
    let source = Source::sparse(ranges.clone(), move |range| async move { Ok(content(range)) });
    let sent = source.length();
    assert!(sent < 4 << 20);
    let counted = Arc::new(Mutex::new(0));
    let count = counted.clone();
    client
        .vdi(vdi)
        .import_raw(DiskFormat::Raw, source)
        .on_sent(move |bytes| *count.lock().unwrap() = bytes)
        .await
        .unwrap();
    assert_eq!(*counted.lock().unwrap(), sent);
    let mut raw = client.vdi(vdi).export_raw(DiskFormat::Raw).await.unwrap();
    let mut start = vec![0; 4 << 20];
    raw.read_exact(&mut start).await.unwrap();
    assert!(start[..3 << 20] == content(0..3 << 20) && start[3 << 20..].iter().all(|&byte| byte == 0));
    raw.cancel().await;
    let error = client.vdi(vdi).import_raw(
        DiskFormat::Vhd,
        Source::sparse(std::iter::once(0..1), |_| async { Ok(Bytes::new()) }),
    );
    assert!(matches!(error.await.unwrap_err(), Error::Unsendable { .. }));
    drop(server);
}

#[tokio::test]
async fn a_disk_comes_in_every_format() {
    let (server, client) = over_tls(1, 0).await;
    let vm = vm_with(server.pool(), "original", some_disk());
    let vdi = client.vdi(disk_of(&client, vm).await);
    let vhd = whole(vdi.export_raw(DiskFormat::Vhd).await.unwrap()).await;
    assert!(vhd.starts_with(b"conectix"));
    let tar = whole(vdi.export_raw(DiskFormat::Tar).await.unwrap()).await;
    assert!(tar.starts_with(b"vdi/00000000\0"), "the first block");
    let error = client
        .vdi("OpaqueRef:00000000-0000-4000-8000-00000000dead".parse().unwrap())
        .export_raw(DiskFormat::Raw)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Api(_) | Error::Http(_)), "{error}");
}

#[tokio::test]
async fn uploads_and_downloads_go_to_the_right_host() {
    let (server, client) = over_tls(3, 12).await;
    let running = client.vms().all_records().await.unwrap();
    let mut pictures = 0;
    for (&vm, record) in &running {
        if record.is_real_vm() && record.power_state == xenapi::vm::PowerState::Running {
            let picture = client.vm(vm).screenshot().await.unwrap();
            assert!(picture.starts_with(&[0xff, 0xd8, 0xff]), "a JPEG");
            pictures += 1;
        }
    }
    assert!(pictures > 3);
    for (host, _) in client.hosts().all_records().await.unwrap() {
        assert!(!whole(client.host(host).backup().await.unwrap()).await.is_empty());
        assert!(
            !whole(client.host(host).system_status(&["xapi"]).await.unwrap())
                .await
                .is_empty()
        );
    }
    assert!(whole(client.database_dump().await.unwrap()).await.starts_with(b"<"));
    whole(client.audit_log(None).await.unwrap()).await;
    let metadata = whole(client.vms().export_metadata().await.unwrap()).await;
    assert!(metadata.starts_with(b"ova.xml\0"));
    // A picture is fetched without a task of ours; the server keeps its own for an hour.
    let ours = |task: &String| {
        let name = server.pool().get("task", task, "name_label").unwrap_or_default();
        name.as_str() != Some("VM.vncsnapshot")
    };
    let left = || server.pool().refs("task").into_iter().filter(ours).collect::<Vec<_>>();
    eventually("no task is left", || left().is_empty()).await;
}

#[tokio::test]
async fn a_connection_that_breaks_in_an_upload_is_told_with_its_task() {
    let (simulator, client) = pool(1, 4).await;
    let (halted, _) = halted_and_running(&client).await;
    let archive = whole(client.vm(halted).export().await.unwrap()).await;
    simulator.fault(Fault::on("/import").error("SR_FULL", ["1", "2"]));
    let error = client.vms().import_xva(Source::bytes(archive)).await.unwrap_err();
    assert_eq!(error.code(), Some(&ErrorCode::SrFull), "{error}");
    eventually("no task is left", || simulator.refs("task").is_empty()).await;
}

/// Writes what a differencing VHD holds over its base: the sectors that its bitmaps name.
fn apply(vhd: &[u8], image: &mut [u8]) {
    let number = |at: usize| u32::from_be_bytes(vhd[at..at + 4].try_into().unwrap()) as usize;
    let header = 512;
    assert_eq!(
        (&vhd[..8], &vhd[header..header + 8]),
        (&b"conectix"[..], &b"cxsparse"[..])
    );
    assert_eq!(number(60), 4, "a differencing disk");
    let table = number(header + 20);
    let (entries, block) = (number(header + 28), number(header + 32));
    for entry in 0..entries {
        let sector = number(table + entry * 4);
        if sector == 0xffff_ffff {
            continue;
        }
        let bitmap = &vhd[sector * 512..sector * 512 + 512];
        for place in 0..block / 512 {
            if bitmap[place / 8] & (0x80 >> (place % 8)) != 0 {
                let from = (sector + 1 + place) * 512;
                let to = entry * block + place * 512;
                image[to..to + 512].copy_from_slice(&vhd[from..from + 512]);
            }
        }
    }
}

#[tokio::test]
async fn a_delta_over_its_base_is_the_disk() {
    let (server, client) = over_tls(1, 0).await;
    let vm = vm_with(server.pool(), "original", some_disk());
    let vdi = client.vdi(disk_of(&client, vm).await);
    let snapshot = vdi.snapshot().await.unwrap();
    let mut image = whole(client.vdi(snapshot).export_raw(DiskFormat::Raw).await.unwrap()).await;
    let changed = Source::sparse([512..1024, (5 << 20) + 4096..(7 << 20)], |range| async move {
        Ok(vec![0xab; (range.end - range.start) as usize].into())
    });
    vdi.import_raw(DiskFormat::Raw, changed).await.unwrap();
    let delta = whole(vdi.export_raw(DiskFormat::Vhd).base(snapshot).await.unwrap()).await;
    assert!(delta.len() < 9 << 20, "{} bytes", delta.len());
    apply(&delta, &mut image);
    let now = whole(vdi.export_raw(DiskFormat::Raw).await.unwrap()).await;
    assert!(image == now);
}
