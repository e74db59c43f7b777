//! What each form of `hvm_serial` does, with a real QEMU: that the recommended one bears everything, and that the warnings
//! about the others are true.

mod common;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::Duration;

use common::{Vm, appears, has_qemu, needs, pattern, until};
use serial_link::bridge::{Bridge, Reader, Replay};
use serial_link::live;
use serial_link::reach::{Incoming, Mode, TcpLine, UnixLine};
use serial_link::setup::{Form, Pending, Trap, serial_argument};

const RECOMMENDED: &str = "unix:FOLDER/port,server,nowait";

fn trap(form: &str) -> Option<Trap> {
    let form: Form = form.parse().expect("QEMU takes it");
    form.traps().into_iter().find(Trap::stops_the_vm)
}

fn connect(vm: &Vm) -> UnixStream {
    assert!(appears(&vm.path("port")));
    let stream = UnixStream::connect(vm.path("port")).expect("QEMU listens");
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream
}

/// Asks the guest for a sign, and skips what came before it.
fn ping(mut stream: impl Read + Write, number: u8) {
    stream.write_all(&[b'P', number]).unwrap();
    let mut last = [0; 2];
    while last != [b'p', number] {
        last[0] = last[1];
        stream.read_exact(&mut last[1..]).expect("an answer");
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

async fn next(reader: &mut Reader) -> Vec<u8> {
    let piece = tokio::time::timeout(Duration::from_secs(120), reader.next()).await;
    piece.expect("in time").expect("the bridge lives").bytes.to_vec()
}

#[test]
fn the_recommended_form_bears_it_that_nobody_is_there_and_that_somebody_comes_back() {
    if !has_qemu() {
        return;
    }
    assert_eq!(trap(RECOMMENDED), None);
    let vm = Vm::start(RECOMMENDED);
    assert!(vm.runs(), "with no listener");
    for number in 1..4 {
        ping(connect(&vm), number);
        assert!(vm.runs(), "when the listener has gone");
    }
    // One at a time: the second waits, and is served when the first leaves.
    let (first, mut second) = (connect(&vm), connect(&vm));
    second.write_all(b"P\x09").unwrap();
    ping(&first, 8);
    drop(first);
    ping(&second, 10);

    let cmdline = std::fs::read(format!("/proc/{}/cmdline", vm.id())).unwrap();
    let running = serial_argument(&cmdline).expect("it was given one");
    assert_eq!(
        Pending::of(&running.replace(",nowait", ",wait=off"), Some(&running)),
        Pending::Nothing
    );
    assert!(matches!(Pending::of("pty", Some(&running)), Pending::Restart { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn much_goes_both_ways_and_unread_bytes_wait() {
    if !has_qemu() {
        return;
    }
    let vm = Vm::start(RECOMMENDED);
    assert!(appears(&vm.path("port")) && vm.runs());
    let bridge = Bridge::start(UnixLine::new(vm.path("port"), Mode::Raw));
    // Behind the first of this, whatever the guest said at its start.
    let mut reader = bridge.reader("test", Replay::Nothing).hold_back(true);
    let writer = bridge.writer("test").unwrap();
    writer.write(b"F\x10").await.unwrap();
    let expected = pattern(16);
    let mut got = Vec::new();
    while got.len() < expected.len() {
        got.extend(next(&mut reader).await);
        if let Some(rest) = got.strip_prefix(b"READY") {
            got = rest.to_vec();
        }
    }
    assert!(got == expected, "1 MiB out");
    writer.write(b"S\x10").await.unwrap();
    writer.write(&expected).await.unwrap();
    assert_eq!(next(&mut reader).await, b"k", "1 MiB in");
}

#[test]
fn eight_mebibytes_unread_hold_up_nothing_and_are_all_there() {
    if !has_qemu() {
        return;
    }
    // Over TCP, where QEMU's bytes are put together and the time is bearable.
    let port = free_port();
    let vm = Vm::start(&format!("tcp:127.0.0.1:{port},server,nowait"));
    assert!(vm.runs());
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
    ping(&stream, 1);
    stream.write_all(b"F\x80").unwrap();
    std::thread::sleep(Duration::from_secs(4));
    assert!(vm.runs(), "while nobody reads");
    let expected = pattern(128);
    let mut got = vec![0; expected.len()];
    for piece in got.chunks_mut(64 << 10) {
        // Who wakes for every byte keeps QEMU from sending the next.
        std::thread::sleep(Duration::from_millis(20));
        stream.read_exact(piece).expect("more");
    }
    assert!(got == expected);
}

#[test]
fn a_server_that_waits_freezes_the_vm() {
    if !has_qemu() {
        return;
    }
    let port = free_port();
    for form in ["unix:FOLDER/port,server", &format!("tcp:127.0.0.1:{port},server")] {
        assert_eq!(trap(form), Some(Trap::WaitsForConnection));
        let mut vm = Vm::start(form);
        assert!(vm.is_frozen(Duration::from_secs(1)), "{form}");
        let mut connected: Box<dyn Read> = match form.starts_with("unix") {
            true => Box::new(connect(&vm)),
            false => Box::new(TcpStream::connect(("127.0.0.1", port)).unwrap()),
        };
        assert!(vm.runs(), "until somebody connects: {form}");
        connected.read_exact(&mut [0; 5]).unwrap();
    }
}

#[test]
fn a_client_without_reconnect_needs_somebody_there_and_never_comes_back() {
    if !has_qemu() {
        return;
    }
    let nobody = format!("tcp:127.0.0.1:{}", free_port());
    for form in [nobody.as_str(), "unix:FOLDER/nobody"] {
        assert!(matches!(trap(form), Some(Trap::ConnectsOnce { .. })));
        let said = Vm::start(form).ended().expect("QEMU ends where nobody listens");
        assert!(said.contains("Failed to connect"), "{said}");
    }

    // A listener whose queue is full answers no more than a host that drops packets.
    let (silent, _queued) = silent_listener();
    let mut vm = Vm::start(&format!("tcp:127.0.0.1:{silent}"));
    assert!(vm.is_frozen(Duration::from_secs(1)), "nothing answers");
    drop(vm);

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let vm = Vm::start(&format!("tcp:{}", listener.local_addr().unwrap()));
    let (stream, _) = listener.accept().unwrap();
    assert!(vm.runs());
    ping(&stream, 1);
    drop(stream);
    assert!(vm.runs());
    listener.set_nonblocking(true).unwrap();
    assert!(
        !until(Duration::from_secs(2), || listener.accept().is_ok()),
        "it never connects again"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reconnects_waits_for_its_listener() {
    if !has_qemu() {
        return;
    }
    let (silent, _queued) = silent_listener();
    let unanswered = Vm::start(&format!("tcp:127.0.0.1:{silent},reconnect=1"));
    let port = free_port();
    let form = format!("tcp:127.0.0.1:{port},reconnect=1");
    assert_eq!(trap(&form), None);
    let vm = Vm::start(&form);
    assert!(vm.runs() && unanswered.runs(), "with nobody there");
    for number in 1..3 {
        let bridge = Bridge::start(listen_again(port).await);
        let mut reader = bridge.reader("test", Replay::All);
        bridge.writer("test").unwrap().write(&[b'P', number]).await.unwrap();
        let mut got = Vec::new();
        while !got.ends_with(&[b'p', number]) {
            got.extend(next(&mut reader).await);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn telnet_of_qemu_is_taken_out() {
    if !has_qemu() {
        return;
    }
    let port = free_port();
    let form = format!("tcp:127.0.0.1:{port},telnet,server,nowait");
    assert!(form.parse::<Form>().unwrap().traps().contains(&Trap::LosesBytes));
    let vm = Vm::start(&form);
    assert!(vm.runs());
    let bridge = Bridge::start(TcpLine::new(format!("127.0.0.1:{port}"), Mode::Telnet));
    let mut reader = bridge.reader("test", Replay::All);
    bridge.writer("test").unwrap().write(b"P\xff").await.unwrap();
    let mut got = Vec::new();
    while !got.contains(&b'p') {
        got.extend(next(&mut reader).await);
    }
    assert!(got.iter().all(u8::is_ascii), "no negotiation: {got:?}");
    drop((reader, bridge));

    // Of 255 the guest has got one, and QEMU does not double those that it sends.
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream.write_all(b"F\x01").unwrap();
    let mut negotiation = [0; 12];
    stream.read_exact(&mut negotiation).unwrap();
    assert_eq!(&negotiation, b"\xff\xfb\x01\xff\xfb\x03\xff\xfb\x00\xff\xfd\x00");
    let mut plain = vec![0; 1 << 16];
    stream.read_exact(&mut plain).unwrap();
    let start = plain.len() - 60_000;
    assert!(
        pattern(1).windows(60_000).any(|window| window == &plain[start..]),
        "not doubled"
    );
}

#[test]
fn a_port_moves_while_the_vm_runs_and_not_back() {
    if !has_qemu() || !needs(&["python3"]) {
        return;
    }
    let run = |words: Vec<String>| Command::new(&words[0]).args(&words[1..]).output().unwrap().stdout;
    let vm = Vm::start("pty");
    assert!(vm.runs());
    let qmp = vm.path("qmp").display().to_string();
    let before = live::probed(&run(live::probe(&qmp))).unwrap();
    assert!(before.port.starts_with("pty:"), "{before:?}");

    let path = vm.path("port").display().to_string();
    let after = live::changed(&run(live::change(&qmp, &path).unwrap())).unwrap();
    assert!(after.port.contains("server=on"), "{after:?}");
    for number in 1..3 {
        ping(connect(&vm), number);
        assert!(vm.runs());
    }
    let taken = live::changed(&run(live::change(&qmp, &path).unwrap())).unwrap_err();
    assert!(taken.to_string().contains("is served already"), "{taken}");
    ping(connect(&vm), 9);

    assert!(live::change(&qmp, "relative").is_err());
    let absent = live::probed(&run(live::probe("/nonexistent"))).unwrap_err();
    assert!(matches!(absent, live::LiveError::Refused { .. }), "{absent}");
    let none = Vm::start("none");
    assert!(none.runs());
    let none = live::probed(&run(live::probe(&none.path("qmp").display().to_string())));
    assert_eq!(none, Err(live::LiveError::NoPort));
}

#[test]
fn the_guest_is_what_its_source_says() {
    if !needs(&["nasm"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let guest = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/guest");
    let assembled = folder.path().join("guest.bin");
    let mut nasm = Command::new("nasm");
    let status = nasm
        .args(["-f", "bin", "-o"])
        .arg(&assembled)
        .arg(guest.join("guest.asm"))
        .status();
    assert!(status.unwrap().success());
    assert_eq!(
        std::fs::read(assembled).unwrap(),
        std::fs::read(guest.join("guest.bin")).unwrap()
    );
}

/// The one before has just been told to end.
async fn listen_again(port: u16) -> Incoming {
    for _ in 0..500 {
        if let Ok(incoming) = Incoming::bind((Ipv4Addr::LOCALHOST, port).into(), Mode::Raw).await {
            return incoming;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("port {port} stays taken");
}

/// A port whose queue of connections is full, so that more are not answered, and what fills it.
fn silent_listener() -> (u16, Vec<std::os::fd::OwnedFd>) {
    use rustix::net::{
        AddressFamily, SocketAddrV4, SocketFlags, SocketType, bind, connect, getsockname, listen, socket_with,
    };

    let listener = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::empty(), None).unwrap();
    bind(&listener, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)).unwrap();
    listen(&listener, 0).unwrap();
    let address: SocketAddrV4 = getsockname(&listener).unwrap().try_into().unwrap();
    let mut kept = vec![listener];
    for _ in 0..4 {
        let queued = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::NONBLOCK, None).unwrap();
        // All but the first are on their way for ever.
        let _ = connect(&queued, &address);
        kept.push(queued);
    }
    (address.port(), kept)
}
