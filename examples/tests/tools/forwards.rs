//! Ports that lead to guests, through a real SSH server on the loopback address.

use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use xenapi::Map;
use xenapi_sim::Fault;

use crate::harness::{Pool, complained, said};
use crate::sshd::{Sshd, user};

/// The guests of the pool are on the loopback address, as are its hosts.
fn bring_home(pool: &Pool) {
    for host in pool.simulator.refs("host") {
        pool.simulator.set("host", &host, "address", "127.0.0.1");
    }
    for metrics in pool.simulator.refs("VM_guest_metrics") {
        let networks: Map<String, String> = [("0/ip".to_owned(), "127.0.0.1".to_owned())].into_iter().collect();
        pool.simulator.set("VM_guest_metrics", &metrics, "networks", networks);
    }
}

/// A service in a guest that says everything again.
async fn service() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = socket.split();
                let _ = tokio::io::copy(&mut read, &mut write).await;
            });
        }
    });
    port
}

/// What comes back of what is said; nothing where nobody is there.
async fn echoed(address: &str, text: &str) -> String {
    let mut socket = TcpStream::connect(address).await.unwrap();
    let mut back = String::new();
    let talk = async {
        socket.write_all(text.as_bytes()).await?;
        socket.shutdown().await?;
        socket.read_to_string(&mut back).await
    };
    let talk = tokio::time::timeout(Duration::from_secs(20), talk).await;
    // A reset is as good as an end.
    let _ = talk.expect("it hangs");
    back
}

#[tokio::test(flavor = "multi_thread")]
async fn local_ports_lead_to_guests_and_a_failure_closes_one_connection_only() {
    let Some(sshd) = Sshd::start() else { return };
    let pool = Pool::new(4).await;
    bring_home(&pool);
    let port = service().await;
    let Some(mut forward) = pool.tool("forward") else {
        return;
    };
    forward
        .args(sshd.flags(&user()))
        .args([format!("web-*:{port}"), format!("win-01:{port}")]);
    forward.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = forward.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut ports = Vec::new();
    for name in ["web-01", "win-01"] {
        let line = lines.next_line().await.unwrap().unwrap();
        assert!(
            line.contains(&format!("{name}:{port}")) && line.contains(" through "),
            "{line}"
        );
        ports.push(line.split_whitespace().next().unwrap().to_owned());
    }
    let (first, second) = tokio::join!(echoed(&ports[0], "one"), echoed(&ports[1], "two"));
    assert_eq!((&*first, &*second), ("one", "two"));

    // The pool does not answer once: that connection is closed, the next one is carried.
    pool.simulator.fault(
        Fault::on("VM.get_record")
            .error("INTERNAL_ERROR", ["out of luck"])
            .times(1),
    );
    assert_eq!(echoed(&ports[0], "three").await, "");
    assert_eq!(echoed(&ports[0], "four").await, "four");

    // The host ends its sessions: the next connection makes a new one.
    #[cfg(target_os = "linux")]
    {
        sshd.end_sessions();
        assert_eq!(echoed(&ports[0], "again").await, "again");
    }

    // The VM was halted while the port is open.
    let vm = pool.simulator.find("VM", "win-01").unwrap();
    let host = pool.simulator.get("VM", &vm, "resident_on").unwrap();
    pool.simulator.set("VM", &vm, "resident_on", "OpaqueRef:NULL");
    assert_eq!(echoed(&ports[1], "five").await, "");
    pool.simulator.set("VM", &vm, "resident_on", host);
    assert_eq!(echoed(&ports[1], "six").await, "six");

    let interrupt = Command::new("kill")
        .args(["-INT", &child.id().unwrap().to_string()])
        .status();
    assert!(interrupt.unwrap().success());
    let output = child.wait_with_output().await.unwrap();
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    let complaint = complained(&output);
    assert!(complaint.contains("out of luck"), "{complaint}");
    assert!(
        complaint.contains(&format!("win-01:{port}: it does not run")),
        "{complaint}"
    );
    pool.assert_tidy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_reached_is_said_before() {
    let pool = Pool::new(4).await;
    bring_home(&pool);
    let vm = pool.simulator.find("VM", "db-01").unwrap();
    pool.simulator.set("VM", &vm, "resident_on", "OpaqueRef:NULL");
    let Some(mut forward) = pool.tool("forward") else {
        return;
    };
    forward.args(["web-01:22", "db-01:22", "--listen", "8000", "--dry-run"]);
    let output = forward.output().await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = said(&output);
    let lines: Vec<_> = text.lines().collect();
    assert!(
        lines[0].starts_with("127.0.0.1:8000") && lines[0].contains("127.0.0.1:22 through"),
        "{text}"
    );
    assert!(
        lines[1].starts_with("127.0.0.1:8001") && lines[1].contains("not now: it does not run"),
        "{text}"
    );

    for wrong in ["web-01", "web-01:0", ":22", "web-01:http"] {
        let Some(mut forward) = pool.tool("forward") else {
            return;
        };
        let output = forward.arg(wrong).output().await.unwrap();
        assert_eq!(output.status.code(), Some(2), "{wrong}");
    }
    pool.assert_tidy().await;
}
