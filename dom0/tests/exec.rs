//! Commands over both backends, against a real sshd.

mod common;

use std::time::{Duration, Instant};

use common::{Sshd, both, error_of, needs};
use dom0::{Command, Error, Exit, Signal};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const PROGRAMS: &[&str] = &["sshd", "ssh", "ssh-keygen"];

#[tokio::test(flavor = "multi_thread")]
async fn outputs_errors_and_exit_codes() {
    if !needs(PROGRAMS) {
        return;
    }
    let sshd = Sshd::start();
    for (name, dom0) in both(&sshd).await {
        let echo = Command::new("printf")
            .arg("%s|")
            .arg("a b")
            .arg("$(x)")
            .arg("'")
            .arg("")
            .arg("\n");
        assert_eq!(dom0.run(&echo).await.expect(name), "a b|$(x)|'||\n|", "{name}");

        let script = Command::raw("echo out; echo err >&2; exit 3");
        let output = dom0.output(&script).await.expect(name);
        assert_eq!(
            (output.exit, &output.stdout[..], &output.stderr[..]),
            (Exit::Code(3), &b"out\n"[..], &b"err\n"[..])
        );

        let cat = Command::new("cat").input("what goes in");
        assert_eq!(dom0.run(&cat).await.expect(name), "what goes in", "{name}");

        let failed = error_of(dom0.run(&script).await);
        assert!(
            matches!(&failed, Error::Failed { exit: Exit::Code(3), errors, .. } if errors == "err"),
            "{failed}"
        );
        let missing = error_of(dom0.run(&Command::new("no-such-program")).await);
        assert!(
            matches!(&missing, Error::CommandNotFound { program, .. } if program == "no-such-program"),
            "{missing}"
        );
        let endless = error_of(dom0.run(&Command::new("cat").arg("/dev/zero").limit(100_000)).await);
        assert!(
            matches!(endless, Error::TooMuchOutput { limit: 100_000, .. }),
            "{endless}"
        );
        let nul = error_of(dom0.run(&Command::new("echo").arg("a\0")).await);
        assert!(matches!(nul, Error::Command(_)), "{nul}");
        let status = dom0.output(&Command::raw("exit 255")).await.expect(name).exit;
        assert_eq!(status, Exit::Code(255), "{name}: not taken for a lost connection");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_go_both_ways_at_once() {
    if !needs(PROGRAMS) {
        return;
    }
    let sshd = Sshd::start();
    for (name, dom0) in both(&sshd).await {
        let mut cat = dom0.exec(&Command::new("cat")).await.expect(name);
        let (mut stdin, mut stdout) = (cat.stdin.take().unwrap(), cat.stdout.take().unwrap());
        for _ in 0..3 {
            stdin.write_all(b"ping").await.unwrap();
            let mut pong = [0; 4];
            stdout.read_exact(&mut pong).await.unwrap();
            assert_eq!(&pong, b"ping", "{name}");
        }
        const SIZE: usize = 8 << 20;
        let send = tokio::spawn(async move {
            stdin.write_all(&vec![7; SIZE]).await.unwrap();
            stdin.shutdown().await.unwrap();
        });
        let mut got = Vec::new();
        stdout.read_to_end(&mut got).await.unwrap();
        send.await.unwrap();
        assert!(
            got.len() == SIZE && got.iter().all(|&byte| byte == 7),
            "{name}: {}",
            got.len()
        );
        assert!(cat.wait().await.expect(name).success());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn signals_reach_the_command_and_its_children() {
    if !needs(PROGRAMS) || !needs(&["pgrep"]) {
        return;
    }
    let sshd = Sshd::start();
    for (name, dom0) in both(&sshd).await {
        let mut sleep = dom0.exec(&Command::new("sleep").arg("60")).await.expect(name);
        sleep.signal(Signal::Term).await.expect(name);
        assert_eq!(sleep.wait().await.expect(name), Exit::Signal("TERM".into()), "{name}");

        let trap = Command::raw("trap 'echo caught; exit 9' INT; echo ready; while :; do sleep 0.05; done");
        let mut trap = dom0.exec(&trap).await.expect(name);
        let mut stdout = trap.stdout.take().unwrap();
        assert_eq!(stdout.chunk().await.unwrap().unwrap(), "ready\n");
        trap.signal(Signal::Int).await.expect(name);
        assert_eq!(stdout.chunk().await.unwrap().unwrap(), "caught\n");
        assert_eq!(trap.wait().await.expect(name), Exit::Code(9), "{name}");

        let mut tree = dom0.exec(&Command::raw("sleep 61 | sleep 62")).await.expect(name);
        let group = tree.process().await.expect(name);
        tree.kill().await.expect(name);
        assert_eq!(tree.wait().await.expect(name), Exit::Signal("KILL".into()), "{name}");
        let left = dom0
            .output(&Command::new("pgrep").args(["-r", "R,S,D", "-g"]).arg(group.to_string()))
            .await
            .expect(name);
        assert_eq!(left.stdout, "", "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guarded_command_ends_with_its_connection() {
    if !needs(PROGRAMS) {
        return;
    }
    let sshd = Sshd::start();
    for (name, dom0) in both(&sshd).await {
        let sleep = Command::new("sleep").arg("63").end_with_connection();
        let mut running = dom0.exec(&sleep).await.expect(name);
        let process = running.process().await.expect(name);
        let alive = || std::fs::read_to_string(format!("/proc/{process}/comm")).is_ok_and(|comm| comm == "sleep\n");
        until(&format!("{name}: it starts"), &alive).await;
        drop(running);
        until(&format!("{name}: it ends"), || !alive()).await;
        let done = dom0
            .output(&Command::raw("echo done; exit 4").end_with_connection())
            .await
            .expect(name);
        assert_eq!((done.exit, &done.stdout[..]), (Exit::Code(4), &b"done\n"[..]), "{name}");
    }
}

async fn until(what: &str, so: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(3);
    while !so() {
        assert!(Instant::now() < end, "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
