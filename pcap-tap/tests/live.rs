//! Live captures, with a real sshd, tcpdump and tshark, from real devices in a namespace.
#![cfg(feature = "live")]

mod stage;

use std::process::Command;

use dom0::Dom0;
use pcap_tap::live::{Error, Sink, Tap, Vm};
use stage::{Host, UUID, number, said, tshark, until};

/// Such a name is legal.
const ODD: &str = "; rm -rf $(x) \"'";

fn error_of<T>(result: Result<T, Error>) -> Error {
    match result {
        Ok(_) => panic!("it should have failed"),
        Err(error) => error,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_packets_arrive_in_order() {
    let Some(host) = Host::start("web-01") else { return };
    let dom0 = host.session().await;
    let vm = Vm::find(&dom0, "web-01").await.unwrap();
    assert_eq!((vm.domain, vm.uuid.as_deref()), (7, Some(UUID)));
    let nic = vm.nic(0).unwrap();
    assert_eq!(nic.mac.unwrap().to_string(), stage::MAC);
    assert_eq!(nic.bridge.as_deref(), Some("xenbr0"));
    assert_eq!(nic.device().unwrap().name, "vif7.0");

    let file = host.path("web.pcapng");
    let tap = Tap::new(&dom0)
        .vm(&vm)
        .filter("udp dst port 7777")
        .snapshot_length(2000)
        .comment("pool lab");
    let capture = tap.start(Sink::file(&file)).await.unwrap();
    until("it captures", || capture.progress().attached == 1).await;
    host.send(0..10_000, 5000);
    until("all are here", || capture.progress().packets == 10_000).await;
    let end = capture.stop().await.unwrap();
    assert_eq!(
        (end.packets, end.dropped, end.attached, end.interfaces),
        (10_000, 0, 0, 1)
    );
    assert!(!host.has_tcpdump(false), "nothing is left");

    let fields = ["data.data", "frame.interface_name", "frame.packet_flags_direction"];
    let rows = tshark(&file, &fields);
    assert_eq!(rows.len(), 10_000);
    for (at, row) in rows.iter().enumerate() {
        assert_eq!(number(&row[0]), at as u32, "complete and in order");
        assert_eq!(row[1], "vif7.0");
        assert_eq!(row[2], "0x00000002", "the VM sent it");
    }
    let information = said(Command::new("capinfos").arg(&file));
    for wanted in [
        "pool lab",
        UUID,
        "web-01 / NIC 0 / xenbr0",
        "udp dst port 7777",
        "Number of stat entries = 1",
        "Number of packets = 10000",
    ] {
        assert!(information.contains(wanted), "{wanted} is not in {information}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_lost_is_told_while_it_runs() {
    let Some(host) = Host::start("web-01") else { return };
    let dom0 = host.session().await;
    let vm = Vm::find(&dom0, "web-01").await.unwrap();
    let tap = Tap::new(&dom0).vm(&vm).ring(64).network("xenbr0", "Isolated lab");
    let file = host.path("web.pcapng");
    let capture = tap.start(Sink::file(&file)).await.unwrap();
    until("it captures", || capture.progress().attached == 1).await;
    until("some are lost", || {
        host.send(0..2000, 1_000_000);
        capture.progress().dropped > 0
    })
    .await;
    let before = capture.progress();
    assert_eq!((before.attached, before.interfaces), (1, 1), "it goes on");
    let end = capture.stop().await.unwrap();
    assert!(end.dropped >= before.dropped, "{end:?}");
    assert!(said(Command::new("capinfos").arg(&file)).contains("web-01 / NIC 0 / xenbr0 (Isolated lab)"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_of_the_host_itself() {
    let Some(host) = Host::start("web-01") else { return };
    let dom0 = host.session().await;
    let file = host.path("bridge.pcapng");
    let tap = Tap::new(&dom0)
        .device("xenbr0", "the lab's bridge")
        .filter("udp port 7777");
    let capture = tap.start(Sink::file(&file)).await.unwrap();
    until("it captures", || capture.progress().attached == 1).await;
    host.send(0..20, 1000);
    until("all are here", || capture.progress().packets == 20).await;
    capture.stop().await.unwrap();
    assert!(
        tshark(&file, &["frame.interface_name"])
            .iter()
            .all(|row| row[0] == "xenbr0")
    );
    assert!(said(Command::new("capinfos").arg(&file)).contains("the lab's bridge"));
    let absent = Tap::new(&dom0).device("eth7", "").start(Sink::file(&file)).await;
    let absent = error_of(absent);
    assert!(
        matches!(&absent, Error::Tcpdump { device, .. } if device == "eth7"),
        "{absent}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_names_and_filters_run_nothing() {
    let Some(host) = Host::start(ODD) else { return };
    let dom0 = host.session().await;
    let vm = Vm::find(&dom0, ODD).await.unwrap();
    assert_eq!(vm.label(), ODD);
    assert_eq!(Vm::find(&dom0, &UUID.to_uppercase()).await.unwrap().domain, 7);
    let all = Vm::all(&dom0).await.unwrap();
    assert_eq!((all.len(), all[0].nics.len()), (1, 1), "the control domain is none");

    let absent = error_of(Vm::find(&dom0, "$(reboot)").await);
    assert!(
        matches!(&absent, Error::NoSuchVm { wanted, running, .. } if wanted == "$(reboot)" && running == &[ODD]),
        "{absent}"
    );
    let file = host.path("odd.pcapng");
    let victim = host.path("victim");
    let filters = [
        format!("udp; touch {}", victim.display()),
        format!("$(touch {})", victim.display()),
        format!("-w{}", victim.display()),
        "port and".into(),
    ];
    for filter in filters {
        let refused = Tap::new(&dom0).vm(&vm).filter(&filter).start(Sink::file(&file)).await;
        let refused = error_of(refused);
        assert!(
            matches!(&refused, Error::Filter { filter: told, .. } if *told == filter),
            "{refused}"
        );
        assert!(!victim.exists() && !file.exists(), "{filter}");
    }
    let wrong = error_of(Tap::new(&dom0).nic(&vm, 3).start(Sink::file(&file)).await);
    assert!(
        matches!(&wrong, Error::NoSuchNic { number: 3, numbers, .. } if numbers == &[0]),
        "{wrong}"
    );
    assert!(matches!(
        error_of(Tap::new(&dom0).start(Sink::file(&file)).await),
        Error::NoNics
    ));
    let folder = error_of(Tap::new(&dom0).vm(&vm).start(Sink::file(host.path("no/x"))).await);
    assert!(
        matches!(&folder, Error::Sink { sink, .. } if sink.ends_with("no/x")),
        "{folder}"
    );

    host.store(
        "/local/domain/7/xenserver/device/net-sriov-vf/1/mac",
        "02:00:00:00:00:17",
    );
    let vm = Vm::find(&dom0, UUID).await.unwrap();
    let function = error_of(Tap::new(&dom0).nic(&vm, 1).start(Sink::file(&file)).await);
    assert!(matches!(&function, Error::SrIov { number: 1, .. }), "{function}");

    let capture = Tap::new(&dom0).vm(&vm).start(Sink::file(&file)).await.unwrap();
    until("it captures", || capture.progress().attached == 1).await;
    capture.stop().await.unwrap();
    assert!(said(Command::new("capinfos").arg(&file)).contains(ODD));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_without_tcpdump() {
    let Some(host) = Host::start("web-01") else { return };
    let dom0: Dom0 = host.session().await;
    let vm = Vm::find(&dom0, "web-01").await.unwrap();
    // What the shell says of programs that are not there.
    let file = host.path("bin/tcpdump");
    std::fs::write(&file, "#!/bin/sh\nexit 127\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&file, mode).unwrap();
    let missing = error_of(Tap::new(&dom0).vm(&vm).start(Sink::file(host.path("x"))).await);
    assert!(matches!(missing, Error::NoTcpdump { .. }), "{missing}");
}
