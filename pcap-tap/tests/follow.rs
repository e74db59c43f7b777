//! Captures that outlive devices, readers, connections and their own process.
#![cfg(feature = "live")]

mod stage;

use std::fs::{self, File};
use std::io::Read as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use pcap_tap::live::{Capture, Error, Sink, Tap, Vm};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use stage::{Host, number, said, tshark, until};

/// Says to this program, started anew, which server to capture at.
const CHILD: &str = "PCAP_TAP_TEST_PORT_AND_FOLDER";

async fn capture(host: &Host, sink: Sink) -> Capture {
    let dom0 = host.session().await;
    let vm = Vm::find(&dom0, "web-01").await.unwrap();
    let tap = Tap::new(&dom0).vm(&vm).filter("udp dst port 7777");
    let tap = tap.snapshot_length(2000).interval(Duration::from_millis(100));
    let capture = tap.start(sink).await.unwrap();
    until("it captures", || capture.progress().attached == 1).await;
    capture
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vm_that_comes_back_goes_on_in_the_same_file() {
    let Some(host) = Host::start("web-01") else { return };
    let file = host.path("web.pcapng");
    let capture = capture(&host, Sink::file(&file)).await;
    host.send(0..100, 5000);
    until("the first are here", || capture.progress().packets == 100).await;
    host.destroy(7);
    until("the device is gone", || capture.progress().attached == 0).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    host.boot(8, "web-01");
    until("it captures again", || capture.progress().attached == 1).await;
    host.send(100..200, 5000);
    until("all are here", || capture.progress().packets == 200).await;
    let end = capture.stop().await.unwrap();
    assert_eq!((end.packets, end.interfaces, end.dropped), (200, 2, 0));

    let rows = tshark(&file, &["data.data", "frame.interface_name", "frame.comment"]);
    assert_eq!(rows.len(), 200);
    for (at, row) in rows.iter().enumerate() {
        assert_eq!(number(&row[0]), at as u32);
        assert_eq!(row[1], if at < 100 { "vif7.0" } else { "vif8.0" });
        match at {
            100 => assert!(
                row[2].contains("vif8.0 (domain 8)") && row[2].contains("s after vif7.0"),
                "{row:?}"
            ),
            _ => assert_eq!(row[2], ""),
        }
    }
    let information = said(Command::new("capinfos").arg(&file));
    assert!(information.contains("Number of interfaces in file: 2"), "{information}");
    assert_eq!(
        information.matches("Number of stat entries = 1").count(),
        2,
        "{information}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vm_that_migrates_is_captured_at_its_new_host() {
    let Some(source) = Host::start("web-01") else { return };
    let Some(target) = Host::start("web-01") else { return };
    target.destroy(7);
    let file = source.path("web.pcapng");
    let dom0 = source.session().await;
    let vm = Vm::find(&dom0, "web-01").await.unwrap();
    let (address, folder) = (target.address(), target.folder.path().to_owned());
    let tap = Tap::new(&dom0).vm(&vm).filter("udp dst port 7777");
    let tap = tap.interval(Duration::from_millis(100)).locate(move |vm| {
        let (address, folder) = (address.clone(), folder.clone());
        async move {
            assert_eq!(vm.uuid.as_deref(), Some(stage::UUID));
            Some(stage::session(&address, &folder).await)
        }
    });
    let capture = tap.start(Sink::file(&file)).await.unwrap();
    until("it captures", || capture.progress().attached == 1).await;
    source.send(0..50, 5000);
    until("the first are here", || capture.progress().packets == 50).await;
    source.destroy(7);
    until("the device is gone", || capture.progress().attached == 0).await;
    target.boot(3, "web-01");
    until("it captures again", || capture.progress().attached == 1).await;
    target.send(50..100, 5000);
    until("all are here", || capture.progress().packets == 100).await;
    capture.stop().await.unwrap();
    let rows = tshark(&file, &["data.data", "frame.interface_name", "frame.comment"]);
    for (at, row) in rows.iter().enumerate() {
        assert_eq!(number(&row[0]), at as u32);
        assert_eq!(row[1], if at < 50 { "vif7.0" } else { "vif3.0" });
    }
    let comment = &rows[50][2];
    assert!(
        comment.contains(&target.address()) && comment.contains(&source.address()),
        "{comment}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn drivers_for_xen_take_over_from_the_emulated_nic() {
    let Some(host) = Host::start("web-01") else { return };
    host.emulate(7);
    let file = host.path("web.pcapng");
    let capture = capture(&host, Sink::file(&file)).await;
    host.send(0..20, 1000);
    until("the first are here", || capture.progress().packets == 20).await;
    host.unplug_emulated(7);
    until("it captures the other", || capture.progress().interfaces == 2).await;
    host.send(20..40, 1000);
    until("all are here", || capture.progress().packets == 40).await;
    capture.stop().await.unwrap();
    let rows = tshark(&file, &["data.data", "frame.interface_name"]);
    for (at, row) in rows.iter().enumerate() {
        let device = if at < 20 { "tap7.0" } else { "vif7.0" };
        assert_eq!((number(&row[0]), row[1].as_str()), (at as u32, device));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_does_not_follow_ends_with_its_device() {
    let Some(host) = Host::start("web-01") else { return };
    let dom0 = host.session().await;
    let vm = Vm::find(&dom0, "web-01").await.unwrap();
    let tap = Tap::new(&dom0).vm(&vm).follow(false);
    let mut capture = tap
        .clone()
        .start(Sink::writer("nowhere", std::io::sink()))
        .await
        .unwrap();
    until("it captures", || capture.progress().attached == 1).await;
    host.destroy(7);
    let end = tokio::time::timeout(Duration::from_secs(10), capture.wait())
        .await
        .unwrap();
    assert_eq!(end.unwrap().interfaces, 1);
    let halted = Vm::find(&dom0, "web-01").await.expect_err("it is halted");
    assert!(
        matches!(&halted, Error::NoSuchVm { running, .. } if running.is_empty()),
        "{halted}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn files_rotate_and_each_is_whole() {
    let Some(host) = Host::start("web-01") else { return };
    let capture = capture(&host, Sink::rotating(host.path("web.pcapng"), 4000, Some(3))).await;
    for start in 0..10 {
        let numbers = start * 20..start * 20 + 20;
        host.send(numbers.clone(), 5000);
        until("they are here", || capture.progress().packets >= u64::from(numbers.end)).await;
    }
    capture.stop().await.unwrap();
    let mut files: Vec<_> = fs::read_dir(host.folder.path())
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|file| file.extension().is_some_and(|extension| extension == "pcapng"))
        .collect();
    files.sort();
    assert_eq!(files.len(), 3, "{files:?}");
    let rows: Vec<_> = files
        .iter()
        .flat_map(|file| tshark(file, &["data.data", "frame.interface_name"]))
        .collect();
    let last: Vec<_> = rows.iter().map(|row| number(&row[0])).collect();
    assert_eq!(last, Vec::from_iter(200 - last.len() as u32..200));
    assert!(last.len() > 40 && rows.iter().all(|row| row[1] == "vif7.0"), "{rows:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fifo_is_read_while_it_is_written() {
    let Some(host) = Host::start("web-01") else { return };
    let fifo = host.path("fifo");
    mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let mut tshark = Command::new("tshark");
    tshark.args(["-n", "-l", "-T", "fields", "-e", "data.data", "-c", "50", "-i"]);
    let mut tshark = tshark
        .arg(&fifo)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut capture = capture(&host, Sink::fifo(&fifo)).await;
    host.send(0..50, 1000);
    let mut text = String::new();
    tshark.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    tshark.wait().unwrap();
    let numbers: Vec<_> = text.lines().map(number).collect();
    assert_eq!(numbers, Vec::from_iter(0..50));
    // The reader has gone, which the next packet tells.
    host.send(50..100, 1000);
    let gone = tokio::time::timeout(Duration::from_secs(10), capture.wait())
        .await
        .unwrap();
    let gone = gone.expect_err("nobody reads");
    assert!(gone.is_reader_gone(), "{gone}");
    assert!(!host.has_tcpdump(false), "nothing is left");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_is_told_and_the_file_is_whole() {
    let Some(host) = Host::start("web-01") else { return };
    let file = host.path("web.pcapng");
    let mut capture = capture(&host, Sink::file(&file)).await;
    host.send(0..100, 5000);
    until("they are here", || capture.progress().packets == 100).await;
    host.kill_sshd();
    let lost = tokio::time::timeout(Duration::from_secs(10), capture.wait())
        .await
        .unwrap();
    let lost = lost.expect_err("the connection is lost");
    assert!(matches!(&lost, Error::Dom0(error) if error.is_lost()), "{lost}");
    assert_eq!(tshark(&file, &["data.data"]).len(), 100);
    assert!(said(Command::new("capinfos").arg(&file)).contains("Number of packets:   100"));
    assert!(!host.has_tcpdump(false), "nothing is left");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_capture_leaves_no_tcpdump() {
    let Some(host) = Host::start("web-01") else { return };
    let capture = capture(&host, Sink::writer("nowhere", std::io::sink())).await;
    assert!(host.has_tcpdump(true));
    drop(capture);
    assert!(!host.has_tcpdump(false), "nothing is left");
}

/// What the next test starts and kills.
#[tokio::test(flavor = "multi_thread")]
async fn captures_where_it_is_told_to() {
    let Ok(place) = std::env::var(CHILD) else { return };
    let (address, folder) = place.split_once(' ').unwrap();
    let dom0 = stage::session(address, folder.as_ref()).await;
    let vm = Vm::find(&dom0, "web-01").await.unwrap();
    let mut capture = Tap::new(&dom0)
        .vm(&vm)
        .start(Sink::writer("nowhere", std::io::sink()))
        .await
        .unwrap();
    capture.wait().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_process_leaves_no_tcpdump() {
    let Some(host) = Host::start("web-01") else { return };
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "captures_where_it_is_told_to"])
        .env(CHILD, format!("{} {}", host.address(), host.folder.path().display()))
        .stdout(Stdio::null())
        .stderr(File::create(host.path("said")).unwrap())
        .spawn()
        .unwrap();
    let begun = host.has_tcpdump(true);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(begun, "{:?}", fs::read_to_string(host.path("said")));
    assert!(!host.has_tcpdump(false), "nothing is left");
}
