//! Connections that break, and servers that fail or say nothing.

use std::io::{self, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use vhd_mbr::nbd::{Error, Nbd};
use vhd_mbr::xen_disk::{ReadAt, WriteAt};

use crate::fake::{
    ACK, FIXED_NEWSTYLE, GO, HAS_FLAGS, NO_ZEROES, READ_ONLY, STRUCTURED_REPLY, UNSUPPORTED, export, greeting, listen,
    number, option, reply, request, simple,
};
use crate::reading::{assert_reads, connections};
use crate::servers::{content, have, nbdkit};

/// Goes through the handshake as a server that can do little.
fn shake(client: &mut TcpStream, size: u64, flags: u16) -> io::Result<()> {
    client.set_nodelay(true)?;
    client.write_all(&greeting(FIXED_NEWSTYLE | NO_ZEROES))?;
    number(client)?;
    loop {
        match option(client)?.0 {
            GO => return client.write_all(&export(size, flags)),
            STRUCTURED_REPLY => client.write_all(&reply(STRUCTURED_REPLY, UNSUPPORTED, b""))?,
            other => client.write_all(&reply(other, ACK, b""))?,
        }
    }
}

#[test]
fn reading_goes_on_over_a_new_connection() {
    let disk = Arc::new(content(3, 8 << 20));
    let expected = disk.clone();
    let clients = Arc::new(AtomicUsize::new(0));
    let counted = clients.clone();
    let target = listen(move |_, mut client| {
        counted.fetch_add(1, Ordering::Relaxed);
        shake(&mut client, disk.len() as u64, HAS_FLAGS | READ_ONLY)?;
        // Hangs up after a few replies, within the last one.
        for count in 0.. {
            let request = request(&mut client)?;
            let data = &disk[request.offset as usize..][..request.length as usize];
            let data = if count == 9 { &data[..data.len() / 2] } else { data };
            client.write_all(&simple(request.cookie, 0, data))?;
            if count == 9 {
                break;
            }
        }
        // Closing at once would take back what was sent.
        client.shutdown(Shutdown::Write)?;
        io::copy(&mut client, &mut io::sink()).map(drop)
    });
    for count in [1, 3] {
        let nbd = Nbd::options()
            .connections(connections(count))
            .request_size(64 << 10)
            .connect(&target)
            .unwrap();
        assert_reads(&nbd, &expected);
    }
    assert!(clients.load(Ordering::Relaxed) > 10);
}

#[test]
fn a_server_that_always_hangs_up_is_given_up() {
    let target = listen(|_, mut client| {
        shake(&mut client, 1 << 20, HAS_FLAGS | READ_ONLY)?;
        request(&mut client).map(drop)
    });
    let nbd = Nbd::connect(&target).unwrap();
    let began = Instant::now();
    let error = nbd.read_exact_at(0, &mut [0; 512]).unwrap_err();
    assert!(error.to_string().contains("broke while waiting for a reply"), "{error}");
    assert!(nbd.copy_to(io::sink()).is_err());
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_server_that_is_gone_is_named() {
    if !have("nbdkit") {
        return;
    }
    let server = nbdkit(["memory", "1M"]);
    let nbd = Nbd::connect(&server.target("")).unwrap();
    drop(server);
    let error = nbd.read_exact_at(0, &mut [0; 512]).unwrap_err();
    assert!(error.to_string().ends_with("could not be made again"), "{error}");
}

#[test]
fn silence_ends() {
    let patience = Duration::from_millis(100);
    let silent_at_first = listen(|_, client| {
        thread::sleep(Duration::from_secs(20));
        drop(client);
        Ok(())
    });
    let began = Instant::now();
    let error = Nbd::options().timeout(patience).connect(&silent_at_first).unwrap_err();
    assert!(
        matches!(&error, Error::Broken { source, .. } if source.kind() == io::ErrorKind::TimedOut),
        "{error:?}"
    );

    let silent_later = listen(|_, mut client| {
        shake(&mut client, 1 << 20, HAS_FLAGS | READ_ONLY)?;
        thread::sleep(Duration::from_secs(20));
        Ok(())
    });
    let nbd = Nbd::options().timeout(patience).connect(&silent_later).unwrap();
    let error = nbd.read_exact_at(0, &mut [0; 512]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{error:?}");
    let error = nbd.copy_to(io::sink()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{error:?}");
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_slow_server_is_waited_for() {
    if !have("nbdkit") {
        return;
    }
    let server = nbdkit(["--filter=delay", "memory", "1M", "delay-read=150ms"]);
    let mut sector = [1; 512];
    let quick = Nbd::options()
        .timeout(Duration::from_millis(40))
        .connect(&server.target(""))
        .unwrap();
    assert_eq!(
        quick.read_exact_at(0, &mut sector).unwrap_err().kind(),
        io::ErrorKind::TimedOut
    );
    let patient = Nbd::connect(&server.target("")).unwrap();
    patient.read_exact_at(0, &mut sector).unwrap();
    assert_eq!(sector, [0; 512]);
}

#[test]
fn errors_of_the_disk_are_passed_on() {
    if !have("nbdkit") {
        return;
    }
    for structured in [true, false] {
        let mut args = vec![
            "--filter=error",
            "pattern",
            "8M",
            "error-pread=EIO",
            "error-pread-rate=100%",
        ];
        if !structured {
            args.insert(0, "--no-sr");
        }
        let server = nbdkit(args);
        let nbd = Nbd::connect(&server.target("")).unwrap();
        for _ in 0..2 {
            let error = nbd.read_exact_at(4096, &mut [0; 1024]).unwrap_err().to_string();
            let expected = "the NBD server could not read 1024 bytes at byte 4096: input/output error (EIO)";
            assert!(error.starts_with(expected), "{error}");
        }
        assert!(nbd.copy_to(io::sink()).is_err());
        assert!(nbd.read_exact_at(0, &mut vec![0; 8 << 20]).is_err());
    }
}

#[test]
fn a_write_is_never_repeated() {
    let writes = Arc::new(AtomicUsize::new(0));
    let seen = writes.clone();
    let target = listen(move |_, mut client| {
        shake(&mut client, 1 << 20, HAS_FLAGS)?;
        loop {
            let request = request(&mut client)?;
            if request.command == 1 {
                let mut data = vec![0; request.length as usize];
                io::Read::read_exact(&mut client, &mut data)?;
                if seen.fetch_add(1, Ordering::Relaxed) == 1 {
                    return Ok(());
                }
            }
            client.write_all(&simple(request.cookie, 0, b""))?;
        }
    });
    let mut nbd = Nbd::options().writable(true).connect(&target).unwrap();
    nbd.write_all_at(0, &[1; 512]).unwrap();
    let error = nbd.write_all_at(512, &[1; 512]).unwrap_err();
    assert!(error.to_string().contains("broke"), "{error}");
    let error = nbd.flush().unwrap_err();
    assert!(error.to_string().contains("had been flushed"), "{error}");
    assert_eq!(writes.load(Ordering::Relaxed), 2);
    nbd.write_all_at(0, &[1; 1024]).unwrap();
    nbd.flush().unwrap();
}
