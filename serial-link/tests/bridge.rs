//! The bridge with a socket in the place of a VM: readers, writers, losses, the log, and what programs are served.

use std::net::SocketAddr;
use std::time::Duration;

use serial_link::bridge::{AskError, Bridge, Config, Event, Log, Reader, Replay, WriteError};
#[cfg(unix)]
use serial_link::reach::{BridgeLine, Claim, Wish};
use serial_link::reach::{Incoming, Mode, TcpLine};
use serial_link::serve::{self, Input, Session};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// A QEMU that listens, and the bridge to it.
async fn listening(config: Config) -> (TcpListener, Bridge, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let bridge = Bridge::with(TcpLine::new(address.to_string(), Mode::Raw), config);
    let (guest, _) = soon(listener.accept()).await.unwrap();
    (listener, bridge, guest)
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(10), future).await.expect("in time")
}

/// Reads to a position, and tells what was lost.
async fn read_to(reader: &mut Reader, end: u64) -> (Vec<u8>, u64) {
    let (mut bytes, mut lost) = (Vec::new(), 0);
    loop {
        let piece = soon(reader.next()).await.expect("the bridge lives");
        lost += piece.lost;
        bytes.extend_from_slice(&piece.bytes);
        if piece.position + piece.bytes.len() as u64 >= end {
            return (bytes, lost);
        }
    }
}

async fn arrived(bridge: &Bridge, end: u64) {
    soon(async {
        while bridge.status().end < end {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length as u32)
        .map(|at| (at ^ (at >> 8) ^ (at >> 16)) as u8)
        .collect()
}

#[tokio::test]
async fn the_line_comes_back_and_nothing_is_injected() {
    let (listener, bridge, mut guest) = listening(Config::default()).await;
    let mut reader = bridge.reader("screen", Replay::Nothing);
    let writer = bridge.writer("screen").unwrap();
    guest.write_all(b"before").await.unwrap();
    assert_eq!(read_to(&mut reader, 6).await.0, b"before");
    drop(guest);
    for round in 0..3_u64 {
        let (mut guest, _) = soon(listener.accept()).await.unwrap();
        writer.write(b"\x00\xff\r").await.unwrap();
        let mut got = [0; 3];
        soon(guest.read_exact(&mut got)).await.unwrap();
        assert_eq!(&got, b"\x00\xff\r", "these bytes and no others");
        guest.write_all(b"again").await.unwrap();
        assert_eq!(read_to(&mut reader, 6 + 5 * (round + 1)).await, (b"again".to_vec(), 0));
    }
}

#[tokio::test]
async fn a_slow_reader_is_told_what_it_lost_and_others_lose_nothing() {
    let (_listener, bridge, mut guest) = listening(Config::default().ring(4096)).await;
    let mut events = bridge.events();
    let mut slow = bridge.reader("slow", Replay::Nothing);
    let sent = pattern(100_000);
    guest.write_all(&sent).await.unwrap();
    arrived(&bridge, 100_000).await;
    let (bytes, lost) = read_to(&mut slow, 100_000).await;
    assert_eq!(lost, 100_000 - 4096);
    assert_eq!(bytes, sent[100_000 - 4096..]);
    let told = soon(async {
        loop {
            if let Event::Lost { reader, bytes } = events.recv().await.unwrap() {
                return (reader, bytes);
            }
        }
    });
    assert_eq!(told.await, ("slow".into(), 100_000 - 4096));

    // Back-pressure: the sender waits, and nothing is lost.
    let mut patient = bridge.reader("patient", Replay::Nothing).hold_back(true);
    let much = pattern(8 << 20);
    let sending = tokio::spawn({
        let much = much.clone();
        async move {
            guest.write_all(&much).await.unwrap();
            guest
        }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(bridge.status().end, 100_000 + 4096, "a ring and no more");
    assert!(!sending.is_finished());
    let (bytes, lost) = read_to(&mut patient, 100_000 + (8 << 20)).await;
    assert!(lost == 0 && bytes == much);
    let mut guest = sending.await.unwrap();

    // One that leaves holds nothing back.
    let gone = bridge.reader("gone", Replay::Nothing).hold_back(true);
    drop((gone, patient));
    guest.write_all(&pattern(50_000)).await.unwrap();
    arrived(&bridge, 150_000 + (8 << 20)).await;
}

#[tokio::test]
async fn one_writes_and_hands_over_by_consent() {
    let (_listener, bridge, mut guest) = listening(Config::default()).await;
    let mut first = bridge.writer("first").unwrap();
    assert_eq!(bridge.writer("second").unwrap_err().holder, "first");
    first.write(b"1").await.unwrap();

    let asking = tokio::spawn({
        let bridge = bridge.clone();
        async move { bridge.ask_writer("second").await }
    });
    soon(first.asked()).await.unwrap().refuse();
    let refused = soon(asking).await.unwrap().unwrap_err();
    assert_eq!(refused, AskError::Refused { holder: "first".into() });

    let asking = tokio::spawn({
        let bridge = bridge.clone();
        async move { bridge.ask_writer("third").await }
    });
    let request = soon(first.asked()).await.unwrap();
    assert_eq!(request.name, "third");
    request.grant();
    let third = soon(asking).await.unwrap().unwrap();
    let error = first.write(b"x").await.unwrap_err();
    assert_eq!(
        error,
        WriteError::TakenOver {
            by: Some("third".into())
        }
    );
    drop(first);
    third.write(b"3").await.unwrap();
    let mut got = [0; 2];
    soon(guest.read_exact(&mut got)).await.unwrap();
    assert_eq!(&got, b"13");

    // One that just leaves is no refusal.
    let asking = tokio::spawn({
        let bridge = bridge.clone();
        async move { bridge.ask_writer("fourth").await }
    });
    tokio::task::yield_now().await;
    drop(third);
    let fourth = soon(asking).await.unwrap().unwrap();
    assert_eq!(bridge.status().writer.as_deref(), Some("fourth"));
    drop(bridge);
    assert_eq!(fourth.write(b"x").await, Err(WriteError::Closed));
}

#[tokio::test]
async fn replay_and_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("serial.log");
    let (_listener, bridge, mut guest) = listening(Config::default()).await;
    let log = Log::new(&path).limit(1000).keep(2).stamp(false);
    let logging = tokio::spawn({
        let reader = bridge.reader("log", Replay::All);
        async move { log.write_all(reader).await }
    });
    let mut sent = String::new();
    for line in 0..60 {
        let line = format!("line {line:04} of what the guest says at its start\n");
        sent.push_str(&line);
        guest.write_all(line.as_bytes()).await.unwrap();
        arrived(&bridge, sent.len() as u64).await;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let mut late = bridge.reader("late", Replay::Lines(2));
    let (last, _) = read_to(&mut late, sent.len() as u64).await;
    let lines: Vec<_> = sent.split_inclusive('\n').collect();
    assert_eq!(last, lines[58..].concat().as_bytes());
    drop((bridge, late));
    soon(logging).await.unwrap().unwrap();

    let kept = ["serial.log.2", "serial.log.1", "serial.log"].map(|name| {
        let text = std::fs::read_to_string(folder.path().join(name)).unwrap();
        assert!(text.len() <= 1000);
        text
    });
    assert!(!folder.path().join("serial.log.3").exists());
    assert!(sent.ends_with(&kept.concat()), "no line is missing where a file ends");

    let nowhere = Log::new(folder.path().join("absent/serial.log"));
    let (_listener, bridge, _guest) = listening(Config::default()).await;
    let error = nowhere.write_all(bridge.reader("log", Replay::All)).await.unwrap_err();
    assert!(error.to_string().contains("absent/serial.log"), "{error}");
}

#[tokio::test]
async fn programs_are_served_bytes_and_nothing_else() {
    let (_listener, bridge, mut guest) = listening(Config::default()).await;
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = port.local_addr().unwrap();
    let serving = tokio::spawn({
        let bridge = bridge.clone();
        async move { serve::tcp(&bridge, port, &Session::default()).await }
    });
    let mut debugger = TcpStream::connect(address).await.unwrap();
    let all: Vec<u8> = (0..=255).chain([255, 251, 0, b'\r', b'\n']).collect();
    debugger.write_all(&all).await.unwrap();
    let mut got = vec![0; all.len()];
    soon(guest.read_exact(&mut got)).await.unwrap();
    assert_eq!(got, all);
    guest.write_all(&all).await.unwrap();
    soon(debugger.read_exact(&mut got)).await.unwrap();
    assert_eq!(got, all);

    // A second that sends is disconnected, what it sent goes nowhere, and that is told.
    let mut events = bridge.events();
    let mut second = TcpStream::connect(address).await.unwrap();
    second.write_all(b"me too").await.unwrap();
    assert_eq!(soon(second.read(&mut [0; 8])).await.unwrap_or(0), 0);
    let told = soon(async {
        loop {
            if let Event::Refused { name, reason } = events.recv().await.unwrap() {
                return (name, reason);
            }
        }
    })
    .await;
    assert_eq!(told.0, second.local_addr().unwrap().to_string());
    let holder = debugger.local_addr().unwrap().to_string();
    assert!(told.1.starts_with(&holder), "{told:?}");
    debugger.write_all(b"!").await.unwrap();
    assert_eq!(soon(guest.read_u8()).await.unwrap(), b'!');

    // One that closes its input only still gets the answer, and the input is free again.
    debugger.shutdown().await.unwrap();
    soon(async {
        while bridge.status().writer.is_some() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
    guest.write_all(b"answer").await.unwrap();
    let mut answer = [0; 6];
    soon(debugger.read_exact(&mut answer)).await.unwrap();
    assert_eq!(&answer, b"answer");
    serving.abort();
}

#[cfg(unix)]
#[tokio::test]
async fn bridges_of_bridges_are_told_why_they_do_not_write() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("meeting");
    let (_listener, bridge, mut guest) = listening(Config::default()).await;
    guest.write_all(b"one\ntwo\nthree").await.unwrap();
    arrived(&bridge, 13).await;
    let socket = serve::BoundUnix::bind(&path).await.unwrap();
    let serving = tokio::spawn({
        let bridge = bridge.clone();
        async move { serve::peers(&bridge, &socket, &Session::default()).await }
    });
    let join = |wish: Wish| Bridge::start(BridgeLine::new(&path, wish));

    let first = join(Wish::new("first").lines(2));
    let mut reader = first.reader("screen", Replay::All);
    assert_eq!(read_to(&mut reader, 9).await.0, b"two\nthree");
    let typed = first.writer("keyboard").unwrap();
    typed.write(b"1").await.unwrap();
    assert_eq!(soon(guest.read_u8()).await.unwrap(), b'1');

    // The input is not there for a second, who hears why, and does not ask again.
    let second = join(Wish::new("second"));
    let reason = soon(second.ended()).await;
    assert!(
        reason.contains("first (process ") && reason.contains("has the input"),
        "{reason}"
    );
    let status = second.status();
    assert!(status.ended && status.last_error == Some(reason));
    assert!(second.reader("screen", Replay::Nothing).next().await.is_none());
    // Reading along is no matter.
    let along = join(Wish::new("along").claim(Claim::Nothing));
    let mut reads = along.reader("screen", Replay::Nothing);
    soon(async {
        while !along.status().connected {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
    guest.write_all(b"!").await.unwrap();
    assert_eq!(read_to(&mut reads, 1).await.0, b"!");

    // Taken over, it is an error for the first as soon as it sends.
    let third = join(Wish::new("third").claim(Claim::TakeOver).insist(true));
    third.writer("keyboard").unwrap().write(b"3").await.unwrap();
    assert_eq!(soon(guest.read_u8()).await.unwrap(), b'3');
    typed.write(b"lost").await.unwrap();
    let reason = soon(first.ended()).await;
    assert!(reason.contains("third (process "), "{reason}");
    // One that insists keeps it.
    let fourth = join(Wish::new("fourth").claim(Claim::TakeOver));
    let reason = soon(fourth.ended()).await;
    assert!(
        reason.contains("third (process ") && reason.contains("keeps the input"),
        "{reason}"
    );
    // And when it leaves, the input is there.
    drop(third);
    let fifth = join(Wish::new("fifth"));
    fifth.writer("keyboard").unwrap().write(b"5").await.unwrap();
    assert_eq!(soon(guest.read_u8()).await.unwrap(), b'5');
    serving.abort();
}

/// As WinDbg and a kernel begin: break-in bytes, resets, a state change that has to be sent again, and an acknowledgement;
/// with the bytes in the data that a terminal, telnet or a string's end would swallow.
#[tokio::test]
async fn a_kernel_debugger_gets_every_byte() {
    const BREAK_IN: u8 = 0x62;
    const TRAILER: u8 = 0xaa;
    fn packet(leader: [u8; 4], kind: u16, id: u32, data: &[u8]) -> Vec<u8> {
        let sum: u32 = data.iter().map(|&byte| u32::from(byte)).sum();
        let mut packet = leader.to_vec();
        packet.extend(kind.to_le_bytes());
        packet.extend((data.len() as u16).to_le_bytes());
        packet.extend(id.to_le_bytes());
        packet.extend(sum.to_le_bytes());
        packet.extend(data);
        if !data.is_empty() {
            packet.push(TRAILER);
        }
        packet
    }
    let (data, control) = ([0x30; 4], [0x69; 4]);
    let state: Vec<u8> = [
        0, 0xff, 0xff, 0xfb, 0x03, 0, 0x11, 0x13, b'\r', b'\n', BREAK_IN, TRAILER,
    ]
    .into_iter()
    .cycle()
    .take(240)
    .collect();
    // By turns: the debugger, the kernel.
    let exchange = [
        vec![BREAK_IN],
        packet(control, 6, 0, &[]),
        packet(control, 6, 0, &[]),
        packet(data, 7, 0x8080_0800, &state),
        packet(control, 5, 0, &[]),
        packet(data, 7, 0x8080_0800, &state),
        packet(control, 4, 0x8080_0000, &[]),
        vec![0, 0xff, BREAK_IN, BREAK_IN],
    ];
    let (_listener, bridge, mut kernel) = listening(Config::default()).await;
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = port.local_addr().unwrap();
    let session = Session::default().hold_back(true);
    let serving = tokio::spawn(async move { serve::tcp(&bridge, port, &session).await });
    let mut debugger = TcpStream::connect(address).await.unwrap();
    for (turn, bytes) in exchange.iter().enumerate() {
        let (from, to) = match turn % 2 {
            0 => (&mut debugger, &mut kernel),
            _ => (&mut kernel, &mut debugger),
        };
        from.write_all(bytes).await.unwrap();
        let mut got = vec![0; bytes.len()];
        soon(to.read_exact(&mut got)).await.unwrap();
        assert_eq!(&got, bytes, "turn {turn}");
    }
    serving.abort();
}

#[cfg(unix)]
#[tokio::test]
async fn a_unix_socket_and_a_terminal() {
    use std::io::{Read, Write};
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    let (_listener, bridge, mut guest) = listening(Config::default()).await;

    let path = folder.path().join("port");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let socket = serve::BoundUnix::bind(&path).await.expect("nobody serves the old one");
    assert!(serve::BoundUnix::bind(&path).await.is_err(), "somebody serves this one");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let serving = tokio::spawn({
        let bridge = bridge.clone();
        async move { serve::unix(&bridge, &socket, &Session::default().input(Input::Ignored)).await }
    });
    let mut program = tokio::net::UnixStream::connect(&path).await.unwrap();
    program.write_all(b"ignored").await.unwrap();
    soon(async {
        while bridge.status().readers.is_empty() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
    guest.write_all(b"hello").await.unwrap();
    let mut hello = [0; 5];
    soon(program.read_exact(&mut hello)).await.unwrap();
    serving.abort();
    let _ = serving.await;
    assert!(!path.exists(), "its file goes with it");

    let link = folder.path().join("tty");
    let pty = serve::Pty::at(&link).unwrap();
    let serving = tokio::spawn({
        let bridge = bridge.clone();
        async move { serve::pty(&bridge, pty, &Session::default()).await }
    });
    let all: Vec<u8> = (0..=255).collect();
    for _ in 0..2 {
        let mut device = std::fs::OpenOptions::new().read(true).write(true).open(&link).unwrap();
        let mut got = vec![0; 256];
        device.write_all(&all).unwrap();
        soon(guest.read_exact(&mut got)).await.unwrap();
        assert_eq!(got, all, "raw");
        guest.write_all(&all).await.unwrap();
        let got = soon(tokio::task::spawn_blocking(move || {
            let mut got = vec![0; 256];
            device.read_exact(&mut got).unwrap();
            got
        }));
        assert_eq!(got.await.unwrap(), all, "without echo");
    }
    serving.abort();
    let _ = serving.await;
    assert!(std::fs::symlink_metadata(&link).is_err(), "its link goes with it");
}

#[tokio::test]
async fn a_qemu_that_connects_finds_a_listener_always() {
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let incoming = Incoming::bind(any, Mode::Raw).await.unwrap();
    let address = incoming.local_addr();
    let mut early = TcpStream::connect(address).await.expect("before there is a bridge");
    early.write_all(b"boot").await.unwrap();
    let bridge = Bridge::start(incoming);
    let mut reader = bridge.reader("screen", Replay::All);
    assert_eq!(read_to(&mut reader, 4).await.0, b"boot");
    // The newer takes the place of the older, which the guest's side never closed.
    let mut newer = TcpStream::connect(address).await.unwrap();
    newer.write_all(b"again").await.unwrap();
    assert_eq!(read_to(&mut reader, 9).await.0, b"again");
    assert_eq!(soon(early.read(&mut [0; 1])).await.unwrap_or(0), 0);

    let incoming = Incoming::bind(any, Mode::Raw)
        .await
        .unwrap()
        .only_from([10, 0, 0, 1].into());
    let mut stranger = TcpStream::connect(incoming.local_addr()).await.unwrap();
    assert_eq!(soon(stranger.read(&mut [0; 1])).await.unwrap_or(0), 0);
}

#[tokio::test]
async fn telnet_is_answered_and_taken_out() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let bridge = Bridge::start(TcpLine::new(address.to_string(), Mode::Telnet));
    let (mut guest, _) = soon(listener.accept()).await.unwrap();
    guest
        .write_all(b"\xff\xfb\x01\xff\xfb\x03\xff\xfb\x00\xff\xfd\x00login\xff\xff")
        .await
        .unwrap();
    let mut reader = bridge.reader("screen", Replay::All);
    assert_eq!(read_to(&mut reader, 6).await.0, b"login\xff");
    bridge.writer("screen").unwrap().write(b"a\xffb").await.unwrap();
    let mut got = [0; 16];
    soon(guest.read_exact(&mut got)).await.unwrap();
    assert_eq!(&got, b"\xff\xfd\x01\xff\xfd\x03\xff\xfd\x00\xff\xfb\x00a\xff\xffb");
}
