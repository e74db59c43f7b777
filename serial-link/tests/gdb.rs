//! A real gdb and a real stub, QEMU's own, with a bridge between them.
#![cfg(unix)]

mod common;

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use common::{Vm, appears, needs};
use serial_link::bridge::Bridge;
use serial_link::reach::{Mode, UnixLine};
use serial_link::serve::{Session, tcp};
use tokio::net::TcpListener;

struct Gdb {
    process: Child,
    input: ChildStdin,
    lines: mpsc::Receiver<String>,
}

impl Drop for Gdb {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Gdb {
    fn start() -> Self {
        let mut process = Command::new("gdb")
            .args([
                "-q",
                "-nx",
                "-ex",
                "set pagination off",
                "-ex",
                "set confirm off",
                "-ex",
                "set tcp connect-timeout 10",
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (sender, lines) = mpsc::channel();
        let output = BufReader::new(process.stdout.take().unwrap());
        std::thread::spawn(move || {
            output
                .lines()
                .map_while(Result::ok)
                .try_for_each(|line| sender.send(line))
        });
        Self {
            input: process.stdin.take().unwrap(),
            process,
            lines,
        }
    }

    fn say(&mut self, line: &str) {
        writeln!(self.input, "{line}").unwrap();
    }

    /// Waits for a line with this in it.
    fn hears(&self, text: &str) {
        let mut said = Vec::new();
        while let Ok(line) = self.lines.recv_timeout(Duration::from_secs(30)) {
            if line.contains(text) {
                return;
            }
            said.push(line);
        }
        panic!("gdb never said {text:?} but {said:#?}");
    }

    fn interrupt(&self) {
        let kill = Command::new("kill")
            .args(["-INT", &self.process.id().to_string()])
            .status();
        assert!(kill.unwrap().success());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn gdb_attaches_stops_at_a_breakpoint_and_interrupts() {
    if !needs(&["qemu-system-x86_64", "gdb"]) {
        return;
    }
    for split in [false, true] {
        let vm = Vm::start_with(
            tempfile::tempdir().unwrap(),
            "unix:FOLDER/port,server,nowait",
            &["-gdb", "unix:path=FOLDER/stub,server=on,wait=off"],
        );
        assert!(appears(&vm.path("stub")) && appears(&vm.path("port")) && vm.runs());
        let bridge = Bridge::start(UnixLine::new(vm.path("stub"), Mode::Raw));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(async move {
            match split {
                false => tcp(&bridge, listener, &Session::default().hold_back(true)).await,
                true => {
                    let (stream, _) = listener.accept().await.unwrap();
                    let console = |text: &[u8]| panic!("{:?} is gdb's", text.escape_ascii().to_string());
                    serial_link::gdb::serve(&bridge, stream, console).await.unwrap();
                }
            }
        });
        let vm = tokio::task::spawn_blocking(move || {
            let mut gdb = Gdb::start();
            gdb.say(&format!("target remote {address}"));
            gdb.hears("Remote debugging using");
            // What the guest does when a byte has come.
            gdb.say("break *(*(unsigned short *)0x30)");
            gdb.hears("Breakpoint 1 at 0x7c");
            gdb.say("continue");
            gdb.hears("Continuing");
            let mut port = std::os::unix::net::UnixStream::connect(vm.path("port")).unwrap();
            port.write_all(b"P\x01").unwrap();
            gdb.hears("Breakpoint 1, 0x");
            gdb.say("delete");
            gdb.say("continue");
            gdb.hears("Continuing");
            assert!(vm.runs());
            gdb.interrupt();
            gdb.hears("SIGINT");
            gdb.say("detach");
            gdb.hears("detached");
            assert!(vm.runs());
            vm
        });
        vm.await.unwrap();
        match split {
            false => serving.abort(),
            true => serving.await.unwrap(),
        }
    }
}
