//! Sockets through the control domain, forwarded by the server and by a relay.

mod common;

use std::os::unix::fs::symlink;
use std::time::Duration;

use common::{Sshd, both, error_of, find, free_port, needs};
use dom0::{Dom0, Error, Target};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener};

const PROGRAMS: &[&str] = &["sshd", "ssh", "ssh-keygen"];
const FORBIDDEN: &str = "AllowTcpForwarding no\nAllowStreamLocalForwarding no";

async fn echo(socket: impl AsyncRead + AsyncWrite) {
    let (mut read, mut write) = tokio::io::split(socket);
    let _ = tokio::io::copy(&mut read, &mut write).await;
    let _ = write.shutdown().await;
}

/// A TCP port and a unix socket that say everything again.
async fn echoes(sshd: &Sshd) -> [Target; 2] {
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = tcp.local_addr().unwrap().port();
    let path = sshd.path("a, b!\"socket");
    let unix = UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        while let Ok((socket, _)) = tcp.accept().await {
            tokio::spawn(echo(socket));
        }
    });
    tokio::spawn(async move {
        while let Ok((socket, _)) = unix.accept().await {
            tokio::spawn(echo(socket));
        }
    });
    [Target::tcp("127.0.0.1", port), Target::unix(path.to_str().unwrap())]
}

/// Small and large amounts, and the end of each direction on its own.
async fn converse(stream: impl AsyncRead + AsyncWrite + Send + 'static, what: &str) {
    let talk = tokio::time::timeout(Duration::from_secs(20), talk(stream, what));
    assert!(talk.await.is_ok(), "{what}: it hangs");
}

async fn talk(stream: impl AsyncRead + AsyncWrite + Send + 'static, what: &str) {
    const SIZE: usize = 3 << 20;
    let (mut read, mut write) = tokio::io::split(stream);
    write.write_all(b"ping").await.unwrap();
    let mut pong = [0; 4];
    read.read_exact(&mut pong)
        .await
        .unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(&pong, b"ping", "{what}");
    tokio::spawn(async move {
        write.write_all(&vec![9; SIZE]).await.unwrap();
        write.shutdown().await.unwrap();
    });
    let mut got = Vec::new();
    read.read_to_end(&mut got)
        .await
        .unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(got.len(), SIZE, "{what}");
}

async fn all_ways(dom0: &Dom0, targets: &[Target], name: &str) {
    for target in targets {
        let what = format!("{name}: {target}");
        converse(
            dom0.open(target)
                .await
                .unwrap_or_else(|error| panic!("{what}: {error}")),
            &what,
        )
        .await;
        let forward = dom0.listen(target.clone()).await.unwrap();
        assert!(forward.local_addr().ip().is_loopback());
        let (first, second) = tokio::join!(
            TcpStream::connect(forward.local_addr()),
            TcpStream::connect(forward.local_addr())
        );
        tokio::join!(converse(first.unwrap(), &what), converse(second.unwrap(), &what));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_forwards() {
    if !needs(PROGRAMS) || !needs(&["socat"]) {
        return;
    }
    let sshd = Sshd::start();
    let targets = echoes(&sshd).await;
    for (name, dom0) in both(&sshd).await {
        all_ways(&dom0, &targets, name).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_forwards_where_the_server_does_not() {
    if !needs(PROGRAMS) {
        return;
    }
    for relay in ["socat", "nc", "python3"] {
        if !needs(&[relay]) {
            continue;
        }
        let bin = tempfile::tempdir().unwrap();
        for program in ["sh", "cat", "sleep", relay] {
            // Where it really is: shims of version managers look for more than themselves.
            let file = std::fs::canonicalize(
                ["/usr/bin", "/bin"]
                    .map(|folder| format!("{folder}/{program}"))
                    .into_iter()
                    .find(|file| std::path::Path::new(file).exists())
                    .unwrap_or_else(|| find(program).unwrap().display().to_string()),
            )
            .unwrap();
            symlink(file, bin.path().join(program)).unwrap();
        }
        let sshd = Sshd::with(&format!("{FORBIDDEN}\nSetEnv PATH={}", bin.path().display()));
        let targets = echoes(&sshd).await;
        let dom0 = sshd.builtin().await.unwrap();
        for target in &targets {
            let what = format!("{relay}: {target}");
            converse(dom0.open(target).await.unwrap(), &what).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_there_and_no_way_to_get_there() {
    if !needs(PROGRAMS) {
        return;
    }
    let nobody = Target::tcp("127.0.0.1", free_port());
    let sshd = Sshd::start();
    for (name, dom0) in both(&sshd).await {
        let absent = error_of(dom0.open(&Target::unix("/no/such/socket")).await);
        assert!(matches!(absent, Error::Unreachable { .. }), "{name}: {absent}");
    }
    let dom0 = sshd.builtin().await.unwrap();
    let refused = error_of(dom0.open(&nobody).await);
    assert!(matches!(refused, Error::Unreachable { .. }), "{refused}");
    let mut forward = dom0.listen(nobody.clone()).await.unwrap();
    let mut socket = TcpStream::connect(forward.local_addr()).await.unwrap();
    assert_eq!(socket.read(&mut [0]).await.unwrap_or(0), 0);
    assert!(matches!(forward.error().await, Some(Error::Unreachable { .. })));

    let empty = tempfile::tempdir().unwrap();
    symlink("/bin/sh", empty.path().join("sh")).unwrap();
    let sshd = Sshd::with(&format!("{FORBIDDEN}\nSetEnv PATH={}", empty.path().display()));
    let no_relay = error_of(sshd.builtin().await.unwrap().open(&nobody).await);
    assert!(matches!(no_relay, Error::NoRelay { .. }), "{no_relay}");

    if needs(&["socat"]) {
        let sshd = Sshd::with(FORBIDDEN);
        let mut stream = sshd.builtin().await.unwrap().open(&nobody).await.unwrap();
        let error = stream.read(&mut [0]).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
        assert!(error.to_string().contains("Connection refused"), "{error}");
    }
}
