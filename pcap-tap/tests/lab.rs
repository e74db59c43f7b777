//! On a real Xen host: one under QEMU in the folder that `XEN_LAB` names, with the VM `du1`.
#![cfg(feature = "live")]

mod stage;
mod xen_lab;

use std::time::{Duration, Instant};

use dom0::Command as Remote;
use pcap_tap::live::{Sink, Tap, Vm};
use stage::tshark;
use xen_lab::Lab;

/// It is emulated, and takes its time.
async fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(120);
    while !is_so() {
        assert!(Instant::now() < end, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vm_on_xen_through_destroy_and_create() {
    let Some(lab) = Lab::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let dom0 = lab.session(&folder.path().join("known_hosts")).await;
    let vm = Vm::find(&dom0, "du1").await.unwrap();
    let (before, file) = (vm.domain, folder.path().join("du1.pcapng"));
    let tap = Tap::new(&dom0).vm(&vm).filter("icmp or arp");
    let capture = tap.start(Sink::file(&file)).await.unwrap();
    eventually("it captures", || capture.progress().attached == 1).await;

    // The network of the emulator answers for the VM as well, which can make ping wait for ever.
    let ping = Remote::raw("until timeout 20 ping -c 3 10.0.2.16; do sleep 1; done");
    dom0.run(&ping).await.unwrap();
    eventually("the pings are here", || capture.progress().packets >= 6).await;
    dom0.run(&Remote::new("xl").args(["destroy", "du1"])).await.unwrap();
    eventually("the device is gone", || capture.progress().attached == 0).await;
    // Without it, `xl` would make another VM of the same name.
    let uuid = format!("uuid=\"{}\"", vm.uuid.as_deref().unwrap());
    dom0.run(&Remote::raw(r#"xl create ~/du1.cfg "$1""#).arg(uuid))
        .await
        .unwrap();
    eventually("it captures again", || capture.progress().attached == 1).await;
    let so_far = capture.progress().packets;
    dom0.run(&ping).await.unwrap();
    eventually("the pings are here", || capture.progress().packets >= so_far + 6).await;
    let again = Vm::find(&dom0, "du1").await.unwrap();
    let end = capture.stop().await.unwrap();
    assert!(again.domain > before);
    assert_eq!(end.interfaces, 2);

    let fields = [
        "frame.interface_name",
        "icmp.type",
        "frame.packet_flags_direction",
        "frame.comment",
    ];
    let rows = tshark(&file, &fields);
    for domain in [before, again.domain] {
        let device = format!("vif{domain}.0");
        let answers = rows.iter().filter(|row| row[0] == device && row[1] == "0");
        let directions: Vec<_> = answers.map(|row| row[2].as_str()).collect();
        assert!(
            directions.len() >= 3 && directions.iter().all(|way| *way == "0x00000002"),
            "{rows:?}"
        );
    }
    assert!(
        rows.iter()
            .any(|row| row[3].contains(&format!("(domain {})", again.domain)))
    );
}
