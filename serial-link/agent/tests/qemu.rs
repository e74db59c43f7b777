//! The agent in a real guest, behind QEMU's serial port, which it shares with the kernel.
#![cfg(unix)]

mod machine;

use std::io::{Cursor, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use machine::Machine;
use serial_link_protocol::{Command, Exit, Put};

#[test]
fn a_guest_runs_a_thousand_commands_and_keeps_files_while_the_line_breaks() {
    let Some(machine) = Machine::boot() else { return };
    rates(&machine);
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

/// Prints how fast files go, beside the rate of a port of the same machine that nothing but bytes go through.
fn rates(machine: &Machine) {
    const SIZE: usize = 256 << 10;
    let shell = |line: &str| {
        let output = machine.client.output(&Command::shell(line), b"").unwrap();
        assert_eq!(
            output.exit,
            Exit::Code(0),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    };
    let mut port = UnixStream::connect(&machine.raw).unwrap();
    shell("stty -F /dev/ttyS1 raw -echo 115200");
    let (raw_out, raw_in) = thread::scope(|scope| {
        let start = Instant::now();
        scope.spawn(|| shell("dd if=/dev/zero of=/dev/ttyS1 bs=4096 count=64"));
        port.read_exact(&mut vec![0; SIZE]).unwrap();
        let out = start.elapsed();
        let reading = scope.spawn(|| shell("test $(head -c 262144 /dev/ttyS1 | wc -c) = 262144"));
        thread::sleep(Duration::from_millis(500));
        let start = Instant::now();
        port.write_all(&vec![7; SIZE]).unwrap();
        reading.join().unwrap();
        (out, start.elapsed())
    });
    let start = Instant::now();
    let put = Put {
        path: "/tmp/rate".into(),
        size: SIZE as u64,
        mode: None,
        resume: false,
    };
    machine.client.put(&put, &mut Cursor::new(vec![7; SIZE])).unwrap();
    let link_in = start.elapsed();
    let start = Instant::now();
    machine.client.get("/tmp/rate", &mut Cursor::new(Vec::new())).unwrap();
    let link_out = start.elapsed();
    let share = |raw: Duration, link: Duration| raw.as_secs_f64() / link.as_secs_f64();
    eprintln!(
        "in: {raw_in:?} raw, {link_in:?} as a file: {:.2}",
        share(raw_in, link_in)
    );
    eprintln!(
        "out: {raw_out:?} raw, {link_out:?} as a file: {:.2}",
        share(raw_out, link_out)
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

/// Half a mebibyte, or as many whole ones as the variable `SERIAL_LINK_MIB` says: 16 take six minutes.
fn files_over_a_line_that_breaks(machine: &Machine) {
    let size =
        std::env::var("SERIAL_LINK_MIB").map_or(512 << 10, |mebibytes| mebibytes.parse::<usize>().unwrap() << 20);
    let original: Vec<u8> = (0_u32..)
        .flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes())
        .take(size)
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
        "{size} bytes each way in {:?}; {slowest:?} from a cut to the answer to a ping",
        start.elapsed()
    );
}
