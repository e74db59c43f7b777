//! Packets of VMs, with a real sshd, tcpdump and tshark, from real devices in a namespace.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, UNIX_EPOCH};

use serde_json::json;
use xenapi_sim::VmSpec;

use crate::harness::{Pool, complained, tool};
use crate::stage::{Host, UUID, number, said, tshark, until};

const FILTER: &str = "udp dst port 7777";

/// How to log in to the host that plays one.
fn login(host: &Host) -> [String; 4] {
    let path = |name: &str| host.path(name).display().to_string();
    let key = std::fs::read_to_string(host.path("host.pub")).unwrap();
    let address = host.address();
    let (_, port) = address.rsplit_once(':').unwrap();
    std::fs::write(host.path("known"), format!("[127.0.0.1]:{port} {key}")).unwrap();
    [
        "--ssh-key".into(),
        path("id"),
        "--ssh-known-hosts".into(),
        path("known"),
    ]
}

/// A tool that runs beside the test.
fn start(name: &str, prepare: impl FnOnce(&mut Command)) -> Option<Child> {
    let mut command = tool(name)?.into_std();
    prepare(&mut command);
    Some(command.stderr(Stdio::piped()).spawn().unwrap())
}

fn interrupt(child: &Child) {
    let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(kill.unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_until_ctrl_c() {
    const ODD: &str = "; rm -rf $(x) \"'";
    let Some(host) = Host::start(ODD) else { return };
    let file = host.path("web.pcapng");
    let begin = |command: &mut Command| {
        command.args(["--host", &host.address(), "--vm", ODD, "--filter", FILTER, "-w"]);
        command.arg(&file).args(login(&host));
    };
    let Some(child) = start("vif-tap", begin) else { return };
    assert!(host.has_tcpdump(true));
    let has = |text: &str| file.exists() && said(Command::new("capinfos").arg(&file)).contains(text);
    until("the interface is in the file", || has("/ NIC 0 /")).await;
    host.send(0..100, 1000);
    until("they are in the file", || has("Number of packets:   100")).await;
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    let complaint = complained(&output);
    assert!(output.status.success(), "{complaint}");
    assert!(
        complaint.contains("100 packets") && complaint.contains("0 packets were lost"),
        "{complaint}"
    );
    let rows = tshark(&file, &["data.data", "frame.interface_name"]);
    let numbers: Vec<_> = rows.iter().map(|row| number(&row[0])).collect();
    assert_eq!(numbers, Vec::from_iter(0..100));
    assert!(!host.has_tcpdump(false), "nothing is left");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_pool_knows_is_in_the_file() {
    let Some(host) = Host::start("web-01") else { return };
    let pool = Pool::new(0).await;
    pool.simulator.add_vm(VmSpec::new("web-01")).unwrap();
    pool.simulator.add_vm(VmSpec::new("db-01").halted()).unwrap();
    let client = pool.client().await;
    let vms = client.vms().all_records().await.unwrap();
    let web = vms.values().find(|vm| vm.name_label == "web-01").unwrap();
    host.store("/local/domain/7/vm", &format!("/vm/{}", web.uuid));
    let networks = client.networks().all_records().await.unwrap();
    let network = networks.values().find(|network| network.bridge == "xenbr0").unwrap();
    client.logout().await.unwrap();

    let file = host.path("web.pcapng");
    for host in pool.simulator.refs("host") {
        pool.simulator.set("host", &host, "address", "127.0.0.1");
    }
    let address = host.address();
    let (_, port) = address.rsplit_once(':').unwrap();
    let run = |arguments: &[&str]| {
        let arguments = arguments.to_vec();
        let mut command = pool.tool("vif-tap")?.into_std();
        command.args(["--ssh-port", port]).args(login(&host)).args(arguments);
        Some(command.stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap())
    };
    let wrong = [
        (&["--vm", "db-01"][..], "db-01 is halted"),
        (&["--vm", "nobody"], "\"nobody\""),
        (&["--vm", "web-01", "--nic", "5"], "has no NIC 5"),
        (&["--vm", "web-01", "--filter", "port and"], "refuses the filter"),
        (&["--network", "no such"], "no network \"no such\""),
        (&[], "--vm NAME"),
    ];
    for (arguments, expected) in wrong {
        let Some(child) = run(arguments) else { return };
        let output = child.wait_with_output().unwrap();
        let complaint = complained(&output);
        assert_eq!(output.status.code(), Some(1), "{complaint}");
        assert!(
            complaint.contains(expected) && output.stdout.len() < 1000,
            "{complaint}"
        );
    }

    let child = run(&["--vm", "web-01", "--filter", FILTER, "-w", &file.display().to_string()]).unwrap();
    assert!(host.has_tcpdump(true));
    let has = |text: &str| file.exists() && said(Command::new("capinfos").arg(&file)).contains(text);
    let description = format!("web-01 / NIC 0 / xenbr0 ({})", network.name_label);
    until("the interface is in the file", || has(&description)).await;
    host.send(0..10, 1000);
    until("they are in the file", || has("Number of packets:   10")).await;
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", complained(&output));
    assert!(has(&format!("pool at {}", pool.server.url())));
    pool.assert_tidy().await;
}

/// How long the packets of a stream take from the VM to a line of tshark's.
fn arrivals(tshark: &mut Child, count: usize) -> Vec<(u32, Duration)> {
    let lines = BufReader::new(tshark.stdout.take().unwrap()).lines();
    let arrived = lines
        .take(count)
        .map(|line| (number(&line.unwrap()), UNIX_EPOCH.elapsed().unwrap()));
    arrived.collect()
}

fn assert_complete(way: &str, sent: &[Duration], arrived: &[(u32, Duration)]) {
    let numbers: Vec<_> = arrived.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, Vec::from_iter(0..sent.len() as u32), "{way}");
    let mut delays: Vec<_> = sent
        .iter()
        .zip(arrived)
        .map(|(sent, (_, at))| at.saturating_sub(*sent))
        .collect();
    delays.sort();
    let [median, most] = [delays[delays.len() / 2], delays[delays.len() * 99 / 100]];
    println!("{way}: {median:?} from the VM to a line of tshark's, 99 % within {most:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_packets_through_a_pipe() {
    let Some(host) = Host::start("web-01") else { return };
    let begin = |command: &mut Command| {
        command.args(["--host", &host.address(), "--vm", UUID, "--filter", FILTER, "-"]);
        command.args(login(&host)).stdout(Stdio::piped());
    };
    let Some(mut child) = start("vif-tap", begin) else {
        return;
    };
    let mut tshark = {
        let mut tshark = Command::new("tshark");
        // With -i it would hear of packets every half second only.
        tshark.args(["-n", "-l", "-T", "fields", "-e", "data.data", "-c", "10000", "-r", "-"]);
        tshark.stdin(child.stdout.take().unwrap());
        let tshark = tshark.stdout(Stdio::piped()).stderr(Stdio::null());
        tshark.spawn().unwrap()
    };
    assert!(host.has_tcpdump(true));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (sent, arrived) = std::thread::scope(|scope| {
        let arrived = scope.spawn(|| arrivals(&mut tshark, 10_000));
        (host.send(0..10_000, 5000), arrived.join().unwrap())
    });
    assert_complete("vif-tap", &sent, &arrived);
    tshark.wait().unwrap();
    host.send(0..10, 1000);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "its reader has gone: {}", complained(&output));
}

/// Whoever pipes it into `less` and leaves that standing.
#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_ends_it_though_nobody_reads() {
    let Some(host) = Host::start("web-01") else { return };
    let begin = |command: &mut Command| {
        command.args(["--host", &host.address(), "--vm", UUID, "--filter", FILTER, "-"]);
        command.args(login(&host)).stdout(Stdio::piped());
    };
    let Some(mut child) = start("vif-tap", begin) else {
        return;
    };
    let unread = child.stdout.take();
    assert!(host.has_tcpdump(true));
    // More than the pipe and all queues hold.
    host.send(0..100_000, 50_000);
    interrupt(&child);
    let began = std::time::Instant::now();
    let ended = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap());
    let output = ended.await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(25), "{:?}", began.elapsed());
    assert!(complained(&output).contains("took nothing"), "{output:?}");
    drop(unread);
    until("no tcpdump is left", || !host.has_tcpdump(false)).await;
}

/// tshark with a home of its own.
fn wireshark(folder: &Path) -> Command {
    let mut tshark = Command::new("tshark");
    at_home(&mut tshark, folder);
    tshark
}

fn at_home(command: &mut Command, folder: &Path) {
    command
        .env("XDG_CONFIG_HOME", folder)
        .env("HOME", folder)
        .env("XENAPI_EXTCAP", folder.join("extcap.json"));
}

#[tokio::test(flavor = "multi_thread")]
async fn wireshark_lists_and_captures_the_nics() {
    let Some(host) = Host::start("web-01") else { return };
    let home = tempfile::tempdir().unwrap();
    let extcap = |arguments: &[&str]| {
        let arguments = arguments.to_vec();
        let mut command = tool("vif-extcap")?.into_std();
        at_home(&mut command, home.path());
        Some(command.args(arguments).output().unwrap())
    };
    let login = login(&host);
    let mut add = vec!["add"];
    let address = host.address();
    add.push(&address);
    add.extend(login.iter().map(String::as_str));
    let Some(added) = extcap(&add) else { return };
    assert!(complained(&added).contains("has 1 NICs"), "{added:?}");
    assert!(extcap(&["install"]).unwrap().status.success());

    let value = format!("vif:{UUID}:0");
    let listed = String::from_utf8(wireshark(home.path()).arg("-D").output().unwrap().stdout).unwrap();
    assert!(
        listed.contains(&format!("{value} (web-01, NIC 0, xenbr0 at {address})")),
        "{listed}"
    );
    assert!(listed.contains("vif (A VM on XenServer or XCP-ng)"), "{listed}");

    let mut tshark = wireshark(home.path());
    tshark.args([
        "-n",
        "-l",
        "-T",
        "fields",
        "-e",
        "data.data",
        "-c",
        "10000",
        "-f",
        FILTER,
        "-i",
        &value,
    ]);
    let mut tshark = tshark.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    assert!(host.has_tcpdump(true), "{:?}", tshark.wait_with_output());
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (sent, arrived) = std::thread::scope(|scope| {
        let arrived = scope.spawn(|| arrivals(&mut tshark, 10_000));
        (host.send(0..10_000, 5000), arrived.join().unwrap())
    });
    assert_complete("vif-extcap", &sent, &arrived);
    tshark.wait().unwrap();
    assert!(!host.has_tcpdump(false), "nothing is left");

    // Another VM, which the selector gets when somebody asks for it anew.
    host.destroy(7);
    host.boot(9, "db-01");
    let options = |more: &[&str]| {
        let asked = [&["--extcap-config", "--extcap-interface", "vif"][..], more].concat();
        String::from_utf8(extcap(&asked).unwrap().stdout).unwrap()
    };
    assert!(options(&[]).contains("{call=--nic}") && options(&[]).contains("web-01"));
    assert!(options(&["--extcap-reload-option", "nic"]).contains("{display=db-01, NIC 0"));
    assert!(options(&[]).contains("db-01"));
    assert!(
        options(&["--extcap-interface"]).is_empty(),
        "it is told on standard error"
    );
    let links = extcap(&["--extcap-dlts", "--extcap-interface", &value]).unwrap();
    assert!(links.stdout.starts_with(b"dlt {number=1}"));
    assert!(extcap(&["remove", &address]).unwrap().status.success());
    assert_eq!(extcap(&["list"]).unwrap().stdout, b"");
    let gone = ["--capture", "--extcap-interface", &value, "--fifo", "/nowhere"];
    assert!(complained(&extcap(&gone).unwrap()).contains("vif-extcap add"));
    assert_eq!(json!({"hosts": {}}), {
        let file = std::fs::read(home.path().join("extcap.json")).unwrap();
        serde_json::from_slice::<serde_json::Value>(&file).unwrap()
    });
    // A file that is damaged is told of, and Wireshark does not lose the program for it.
    std::fs::write(home.path().join("extcap.json"), "{").unwrap();
    let listed = extcap(&["--extcap-interfaces"]).unwrap();
    assert!(
        listed.status.success() && listed.stdout.starts_with(b"extcap"),
        "{listed:?}"
    );
    assert!(complained(&listed).contains("is damaged"));
}
