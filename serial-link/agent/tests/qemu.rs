//! The agent in a real guest, behind QEMU's serial port, which it shares with the kernel.
#![cfg(unix)]

mod machine;

use std::io::Cursor;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use machine::Machine;
use serial_link_protocol::{Command, Exit, Put};

#[test]
fn a_guest_runs_a_thousand_commands_and_keeps_files_while_the_line_breaks() {
    let Some(machine) = Machine::boot() else { return };
    thousand_commands(&machine);
    files_over_a_line_that_breaks(&machine);

    let report = machine.client.report().unwrap();
    assert!(report.kernel.starts_with("Linux "), "{report:?}");
    let console = machine.console.lock().unwrap();
    let console = String::from_utf8_lossy(&console);
    assert!(
        console.contains("Linux version"),
        "the boot messages were not passed on"
    );
    assert!(
        console.matches("the kernel has something to say").count() > 5,
        "the kernel's messages were not passed on"
    );
}

fn thousand_commands(machine: &Machine) {
    let start = Instant::now();
    thread::scope(|scope| {
        for worker in 0..8 {
            scope.spawn(move || {
                for number in (worker..1000).step_by(8) {
                    let code = number % 256;
                    let command = Command::shell(format!("echo output of {number}; exit {code}"));
                    let output = machine.client.output(&command, b"").unwrap();
                    assert_eq!(String::from_utf8_lossy(&output.stdout), format!("output of {number}\n"));
                    assert_eq!(output.exit, Exit::Code(code));
                }
            });
        }
    });
    eprintln!("1000 commands in {:?}", start.elapsed());
}

fn files_over_a_line_that_breaks(machine: &Machine) {
    let original: Vec<u8> = (0_u32..)
        .flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes())
        .take(1 << 20)
        .collect();
    let start = Instant::now();
    let over = AtomicBool::new(false);
    let mut slowest = Duration::ZERO;
    thread::scope(|scope| {
        scope.spawn(|| {
            let put = Put {
                path: "/tmp/copy".into(),
                size: original.len() as u64,
                mode: None,
                resume: false,
            };
            machine.client.put(&put, &mut Cursor::new(&original)).unwrap();
            let mut back = Cursor::new(Vec::new());
            machine.client.get("/tmp/copy", &mut back).unwrap();
            assert!(back.into_inner() == original);
            over.store(true, Ordering::Relaxed);
        });
        let mut cuts = 0;
        while cuts < 5 && !over.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(500));
            machine.cut();
            cuts += 1;
            slowest = slowest.max(machine.ping());
        }
        assert_eq!(cuts, 5, "the copies were done before the line was cut five times");
    });
    eprintln!(
        "1 MiB each way in {:?}; {slowest:?} from a cut to the answer to a ping",
        start.elapsed()
    );
}
