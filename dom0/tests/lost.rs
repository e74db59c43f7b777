//! Connections that die, stall, and go through others.

mod common;

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use common::{Sshd, both, error_of, needs};
use dom0::{Command, Dom0, Error, HostKeys, Target};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const PROGRAMS: &[&str] = &["sshd", "ssh", "ssh-keygen"];

#[tokio::test(flavor = "multi_thread")]
async fn the_server_is_killed() {
    if !needs(PROGRAMS) {
        return;
    }
    let sshd = Sshd::start();
    let sessions = both(&sshd).await;
    let mut running = Vec::new();
    for (name, dom0) in &sessions {
        let mut cat = dom0.exec(&Command::new("cat")).await.unwrap();
        let (mut stdin, mut stdout) = (cat.stdin.take().unwrap(), cat.stdout.take().unwrap());
        stdin.write_all(b"alive").await.unwrap();
        stdout.read_exact(&mut [0; 5]).await.unwrap();
        running.push((*name, dom0, cat, stdin, stdout));
    }
    sshd.signal_all("KILL");
    for (name, dom0, mut cat, _stdin, mut stdout) in running {
        let read = stdout.read(&mut [0]).await.unwrap_err();
        assert_eq!(read.kind(), ErrorKind::ConnectionAborted, "{name}");
        let lost = error_of(cat.wait().await);
        assert!(lost.is_lost(), "{name}: {lost}");
        let after = error_of(dom0.run(&Command::new("true")).await);
        assert!(after.is_lost() && dom0.is_lost(), "{name}: {after}");
        let after = error_of(dom0.exec(&Command::new("true")).await);
        assert!(after.is_lost(), "{name}: {after}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_server_is_noticed() {
    if !needs(PROGRAMS) {
        return;
    }
    let sshd = Sshd::start();
    let builtin = sshd.builtin().keepalive(Duration::from_millis(200), 2).await.unwrap();
    let program = sshd.program().keepalive(Duration::from_secs(1), 1).await.unwrap();
    let sleep = Command::new("sleep").arg("64").end_with_connection();
    let mut over = Vec::new();
    for (name, dom0) in [("built-in", &builtin), ("program", &program)] {
        over.push((name, dom0.exec(&sleep).await.unwrap()));
    }
    sshd.signal_sessions("STOP");
    let start = Instant::now();
    for (name, mut sleep) in over {
        let lost = error_of(
            tokio::time::timeout(Duration::from_secs(8), sleep.wait())
                .await
                .expect(name),
        );
        assert!(lost.is_lost(), "{name}: {lost}");
        assert!(start.elapsed() < Duration::from_secs(8), "{name}");
    }
    assert!(
        error_of(builtin.run(&Command::new("true")).await)
            .to_string()
            .contains("signs of life")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn through_a_jump_host() {
    if !needs(PROGRAMS) {
        return;
    }
    let (jump, sshd) = (Sshd::start(), Sshd::start());
    let dom0 = sshd.builtin().through(jump.builtin()).await.unwrap();
    // The server sees the jump host's end of the connection, which is one of its own sessions.
    assert_eq!(dom0.run(&Command::new("echo").arg("there")).await.unwrap(), "there\n");
    let mut head = dom0
        .exec(&Command::new("head").args(["-c", "5000000", "/dev/zero"]))
        .await
        .unwrap();
    let mut got = Vec::new();
    head.stdout.take().unwrap().read_to_end(&mut got).await.unwrap();
    assert_eq!((got.len(), head.wait().await.unwrap().success()), (5_000_000, true));

    let known = jump.known_hosts();
    let stranger = jump.builtin().host_keys(HostKeys::known_hosts(jump.path("nothing")));
    let unknown = error_of(sshd.builtin().through(stranger).await);
    assert!(
        unknown.to_string().contains(&jump.port.to_string()),
        "it says which of the two: {unknown}"
    );
    let closed = Sshd::with("AllowTcpForwarding no");
    let forbidden = error_of(sshd.builtin().through(closed.builtin()).await);
    assert!(matches!(forbidden, Error::Unreachable { .. }), "{forbidden}");

    jump.signal_all("KILL");
    assert!(error_of(dom0.run(&Command::new("sleep").arg("5")).await).is_lost());
    drop(known);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_goes_through_a_jump_host() {
    if !needs(PROGRAMS) {
        return;
    }
    let (jump, sshd) = (Sshd::start(), Sshd::start());
    let user = common::user_name();
    let config = sshd.path("ssh_config");
    let (known, jump_known) = (sshd.known_hosts(), jump.known_hosts());
    let entry = |name: &str, port: u16, server: &Sshd, known: &std::path::Path| {
        format!(
            "Host {name}\nHostName 127.0.0.1\nPort {port}\nUser {user}\nIdentityFile {}\nIdentitiesOnly yes\n\
             UserKnownHostsFile {}\nGlobalKnownHostsFile /dev/null\nStrictHostKeyChecking yes\n",
            server.path("id").display(),
            known.display()
        )
    };
    let text = format!(
        "{}ProxyCommand ssh -F {} -W %h:%p bastion\n{}",
        entry("xs1", sshd.port, &sshd, &known),
        config.display(),
        entry("bastion", jump.port, &jump, &jump_known)
    );
    std::fs::write(&config, text).unwrap();
    let dom0 = Dom0::with_ssh_program("xs1").config(&config).await.unwrap();
    assert_eq!(dom0.run(&Command::new("echo").arg("there")).await.unwrap(), "there\n");
    jump.signal_all("KILL");
    assert!(error_of(dom0.run(&Command::new("sleep").arg("5")).await).is_lost());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_read_waits_and_holds_up_nobody() {
    if !needs(PROGRAMS) {
        return;
    }
    const SIZE: usize = 100 << 20;
    let sshd = Sshd::start();
    for (name, dom0) in both(&sshd).await {
        let head = Command::new("head").arg("-c").arg(SIZE.to_string()).arg("/dev/zero");
        let mut unread = dom0.exec(&head).await.unwrap();
        let mut stdout = unread.stdout.take().unwrap();
        let before = memory();
        tokio::time::sleep(Duration::from_millis(300)).await;
        let quick = Duration::from_secs(5);
        let beside = tokio::time::timeout(quick, dom0.run(&Command::new("echo"))).await;
        beside.expect(name).expect(name);
        let mut beside = dom0.exec(&Command::new("cat").arg("/dev/null")).await.unwrap();
        assert!(
            tokio::time::timeout(quick, beside.wait())
                .await
                .expect(name)
                .unwrap()
                .success()
        );
        let mut read = 0;
        let mut most = 0;
        while let Some(chunk) = stdout.chunk().await {
            read += chunk.unwrap().len();
            if read % (10 << 20) < 40_000 {
                most = most.max(memory());
            }
        }
        assert_eq!(read, SIZE, "{name}");
        assert!(unread.wait().await.unwrap().success());
        let grown = most.saturating_sub(before);
        assert!(grown < 32 << 20, "{name}: {grown} bytes more while {SIZE} went through");
    }
}

/// What the process holds in memory.
fn memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() << 10
}

#[tokio::test(flavor = "multi_thread")]
async fn many_commands_and_streams_at_once() {
    if !needs(PROGRAMS) {
        return;
    }
    let sshd = Sshd::start();
    let dom0 = sshd.builtin().await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..30 {
        let dom0 = dom0.clone();
        tasks.spawn(async move {
            let echo = Command::new("echo").arg(number.to_string());
            assert_eq!(dom0.run(&echo).await.unwrap(), format!("{number}\n"));
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    let target = Target::tcp("127.0.0.1", sshd.port);
    let mut banner = [0; 4];
    dom0.open(&target).await.unwrap().read_exact(&mut banner).await.unwrap();
    assert_eq!(&banner, b"SSH-");
}
