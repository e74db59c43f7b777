//! Exports as streams.

use std::time::Duration;

use tokio::io::AsyncReadExt;
use xenapi::{Compression, Error, ErrorCode, Ref};
use xenapi_sim::{DiskImage, Fault, Simulator, VmSpec};

use crate::detour::Detour;
use crate::{eventually, halted_and_running, pool};

async fn read_all(export: &mut xenapi::Download) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    export.read_to_end(&mut bytes).await.map(|_| bytes)
}

/// The error of ours inside an I/O error.
fn ours(error: std::io::Error) -> Error {
    *error
        .into_inner()
        .expect("a cause")
        .downcast::<Error>()
        .expect("an error of this crate")
}

#[tokio::test]
async fn a_whole_export_is_an_archive_and_leaves_no_task() {
    let (_simulator, client) = pool(1, 4).await;
    let (halted, _) = halted_and_running(&client).await;
    let before = client.tasks().all().await.unwrap().len();
    let mut export = client.vm(halted).export().await.unwrap();
    let bytes = read_all(&mut export).await.unwrap();
    assert!(bytes.starts_with(b"ova.xml\0"));
    assert!(bytes.ends_with(&[0; 1024]), "the end of a tar archive");
    assert_eq!(export.bytes_received(), bytes.len() as u64);
    assert_eq!(client.tasks().all().await.unwrap().len(), before);
}

#[tokio::test]
async fn the_server_compresses_when_asked() {
    let (_simulator, client) = pool(1, 4).await;
    let (halted, _) = halted_and_running(&client).await;
    for (compression, magic) in [(Compression::Gzip, [0x1f, 0x8b]), (Compression::Zstd, [0x28, 0xb5])] {
        let mut export = client.vm(halted).export().compression(compression).await.unwrap();
        let mut start = [0; 2];
        export.read_exact(&mut start).await.unwrap();
        assert_eq!(start, magic, "{compression:?}");
        export.cancel().await;
    }
}

#[tokio::test]
async fn a_failure_after_200_is_an_error_and_not_the_end() {
    let (simulator, client) = pool(1, 4).await;
    let (halted, _) = halted_and_running(&client).await;
    for fault in [
        Fault::on("/export").truncate(100_000),
        Fault::on("/export").error_in_body(100_000),
    ] {
        simulator.clear_faults();
        simulator.fault(fault);
        let mut export = client.vm(halted).export().await.unwrap();
        let error = ours(read_all(&mut export).await.unwrap_err());
        assert!(matches!(error, Error::Api(_) | Error::Interrupted(_)), "{error}");
    }
}

#[tokio::test]
async fn what_cannot_be_exported_is_said_at_once() {
    let (_simulator, client) = pool(1, 4).await;
    let (_, running) = halted_and_running(&client).await;
    let error = match client.vm(running).export().await {
        Err(error) => error,
        Ok(mut export) => ours(read_all(&mut export).await.unwrap_err()),
    };
    assert_eq!(error.code(), Some(&ErrorCode::VmBadPowerState), "{error}");
    let gone: Ref<xenapi::Vm> = "OpaqueRef:00000000-0000-4000-8000-00000000dead".parse().unwrap();
    assert!(client.vm(gone).export().await.is_err());
}

#[tokio::test]
async fn an_export_that_is_dropped_cancels_its_task() {
    let (simulator, client) = pool(1, 4).await;
    let (halted, _) = halted_and_running(&client).await;
    let mut export = client.vm(halted).export().await.unwrap();
    export.read_exact(&mut [0; 512]).await.unwrap();
    drop(export);
    for _ in 0..200 {
        if simulator.counters().calls("task.cancel") == 1 && simulator.counters().calls("task.destroy") == 1 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("not cancelled");
}

#[tokio::test]
async fn an_export_goes_to_the_host_that_sees_the_disks() {
    let simulator = Simulator::builder().hosts(2).vms(30).build().unwrap();
    let server = simulator.listen_tls("127.0.0.1:0").await.unwrap();
    let pin = server.fingerprint_sha256().unwrap().to_owned();
    let client = xenapi::Client::connect(server.url())
        .pin_sha256(&pin)
        .login("root", "xensource")
        .await
        .unwrap();
    let vms = client.vms().all_records().await.unwrap();
    let halted = vms
        .iter()
        .filter(|(_, vm)| vm.is_real_vm() && vm.power_state == xenapi::vm::PowerState::Halted);
    for (&vm, record) in halted {
        let mut export = client
            .vm(vm)
            .export()
            .await
            .unwrap_or_else(|error| panic!("{}: {error}", record.name_label));
        let mut start = [0; 7];
        export.read_exact(&mut start).await.unwrap();
        assert_eq!(&start, b"ova.xml");
        export.cancel().await;
    }
}

#[tokio::test]
async fn an_export_given_up_before_it_begins_leaves_no_task() {
    let (simulator, client) = pool(1, 4).await;
    let (halted, _) = halted_and_running(&client).await;
    let before = simulator.refs("task").len();
    for slow in ["task.create", "/export"] {
        simulator.clear_faults();
        simulator.fault(Fault::on(slow).delay(Duration::from_millis(100)));
        let export = client.vm(halted).export().into_future();
        assert!(tokio::time::timeout(Duration::from_millis(30), export).await.is_err());
        let made = simulator.counters().calls("task.create");
        eventually("a task", || simulator.counters().calls("task.create") >= made).await;
        eventually("no task left", || {
            simulator.counters().calls("task.destroy") == simulator.counters().calls("task.create")
                && simulator.refs("task").len() == before
        })
        .await;
    }
}

#[tokio::test]
async fn a_disk_that_holds_http_is_exported_whole() {
    let (simulator, client) = pool(1, 1).await;
    let mut disk = DiskImage::new(8 << 20);
    for block in 0..8 {
        disk.write(block << 20, b"HTTP/1.1 500 Internal Error\r\n\r\n");
    }
    let spec = VmSpec::new("proxy").halted().disk(disk);
    let vm: Ref<xenapi::Vm> = simulator.add_vm(spec).unwrap().parse().unwrap();
    let mut export = client.vm(vm).export().await.unwrap();
    let bytes = read_all(&mut export).await.unwrap();
    assert!(bytes.ends_with(&[0; 1024]));
    assert!(bytes.len() > 8 << 20);
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up() {
    let (simulator, client) = pool(1, 4).await;
    let (halted, _) = halted_and_running(&client).await;
    simulator.fault(Fault::on("/export").delay(Duration::from_secs(60)));
    let call = client.vm(halted).export().silence_limit(Duration::from_millis(50));
    let error = call.await.unwrap_err();
    assert!(
        matches!(&error, Error::Timeout(timeout) if timeout.task().is_some()),
        "{error}"
    );
    eventually("the end of the task", || {
        simulator.counters().calls("task.destroy") == 1
    })
    .await;
}

#[tokio::test]
async fn the_session_is_not_taken_to_a_host_that_is_none_of_the_pools() {
    let (simulator, client) = pool(1, 4).await;
    let (halted, _) = halted_and_running(&client).await;
    let asked = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = asked.clone();
    let detour = Detour::new(&simulator, move |request| {
        if request.uri().host() == Some("elsewhere.example") {
            count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
        let location = "https://elsewhere.example/export".to_owned();
        (request.uri().path() == "/export").then(|| (302, ("location", location), Vec::new()))
    });
    let client = xenapi::Client::connect(simulator.url())
        .transport(detour)
        .session(client.session_reference())
        .await
        .unwrap();
    let error = client.vm(halted).export().await.unwrap_err();
    assert!(error.to_string().contains("no host of this pool"), "{error}");
    assert_eq!(asked.load(std::sync::atomic::Ordering::Relaxed), 0);
}
