//! The agent's program on a pty: commands and files.
#![cfg(unix)]

mod guest;

use std::fs::{self, File};
use std::io::{Cursor, Write};
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use guest::{Guest, PATIENCE};
use serial_link_protocol::{ClientError, Command, Exit, FailureKind, Port, Put, Refusal, Signal};

fn content(size: usize) -> Vec<u8> {
    (0_u32..)
        .flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes())
        .take(size)
        .collect()
}

fn put(path: &str, size: usize) -> Put {
    Put {
        path: path.into(),
        size: size as u64,
        mode: Some(0o640),
        resume: false,
    }
}

fn kind(error: ClientError) -> FailureKind {
    match error {
        ClientError::Failed(failure) => failure.kind,
        other => panic!("{other}"),
    }
}

#[test]
fn a_command_has_arguments_an_environment_a_folder_and_an_exit_code() {
    let guest = Guest::start();
    let output = guest
        .client
        .output(&Command::new(["printf", "%s|", "a b", "$HOME", "ä"]), b"")
        .unwrap();
    assert_eq!((output.exit, output.stdout), (Exit::Code(0), "a b|$HOME|ä|".into()));

    let command = Command::shell("echo $NAME in $PWD; echo wrong >&2; exit 7")
        .variable("NAME", "x y")
        .folder("/usr");
    let output = guest.client.output(&command, b"").unwrap();
    assert_eq!(output.exit, Exit::Code(7));
    assert_eq!(
        (output.stdout, output.stderr),
        (b"x y in /usr\n".to_vec(), b"wrong\n".to_vec())
    );

    let mut command = Command::new(["/usr/bin/env"]).variable("ONLY", "this");
    command.clean_environment = true;
    assert_eq!(guest.client.output(&command, b"").unwrap().stdout, b"ONLY=this\n");
}

#[test]
fn a_command_that_cannot_start_says_why() {
    let guest = Guest::start();
    let error = guest
        .client
        .output(&Command::new(["no-such-program"]), b"")
        .unwrap_err();
    assert!(error.to_string().contains("cannot start no-such-program"), "{error}");
    assert_eq!(kind(error), FailureKind::NotFound);
    let error = guest
        .client
        .output(&Command::new(["ls"]).folder("/no/such/folder"), b"")
        .unwrap_err();
    assert!(error.to_string().contains("/no/such/folder"), "{error}");
    assert_eq!(
        kind(guest.client.output(&Command::new(["/etc/passwd"]), b"").unwrap_err()),
        FailureKind::Denied
    );
    assert_eq!(
        kind(
            guest
                .client
                .output(&Command::new(Vec::<String>::new()), b"")
                .unwrap_err()
        ),
        FailureKind::Invalid
    );
}

#[test]
fn input_goes_to_the_command_byte_for_byte() {
    let guest = Guest::start();
    let input = content(300_000);
    let output = guest.client.output(&Command::new(["cat"]), &input).unwrap();
    assert!(output.stdout == input);
    // Who reads only the start is not drowned.
    let output = guest.client.output(&Command::new(["head", "-c", "3"]), &input).unwrap();
    assert_eq!((output.exit, output.stdout), (Exit::Code(0), input[..3].to_vec()));
    // Without input there is none.
    assert_eq!(
        guest.client.output(&Command::new(["wc", "-c"]), b"").unwrap().stdout,
        b"0\n"
    );
}

#[test]
fn commands_are_killed_with_their_children_by_signal_timeout_and_departure() {
    let guest = Guest::start();
    let running = guest.client.exec(&Command::new(["sleep", "1000"])).unwrap();
    running.signal(Signal::Terminate).unwrap();
    assert_eq!(running.wait().unwrap(), Exit::Signal(15));

    let limited = Command::shell("sleep 1000 & sleep 1000").timeout(Duration::from_millis(100));
    let output = guest.client.output(&limited, b"").unwrap();
    assert_eq!(output.exit, Exit::TimedOut);

    let running = guest.client.exec(&Command::new(["sleep", "1000"])).unwrap();
    let process = format!("/proc/{}", running.pid());
    assert!(fs::exists(&process).unwrap());
    drop(running);
    let start = Instant::now();
    while fs::exists(&process).unwrap() {
        assert!(start.elapsed() < PATIENCE, "the command outlived its channel");
        thread::sleep(Duration::from_millis(10));
    }
}

/// A shell that ends at once, and a child that has its streams and goes on.
fn left_behind(guest: &Guest, how: &str) -> (Command, String) {
    let file = guest.path("left");
    let _ = fs::remove_file(&file);
    let line = format!(
        "{how} sh -c 'echo $$ > {file}; exec sleep 1000' & while ! [ -s {file} ]; do sleep 0.01; done; echo started"
    );
    (Command::shell(line), file)
}

fn process_in(file: &str) -> String {
    let start = Instant::now();
    loop {
        match fs::read_to_string(file) {
            Ok(text) if text.ends_with('\n') => return format!("/proc/{}", text.trim()),
            _ => thread::sleep(Duration::from_millis(10)),
        }
        assert!(start.elapsed() < PATIENCE, "no process was started");
    }
}

fn goes(process: &str) {
    let start = Instant::now();
    while fs::read_to_string(format!("{process}/stat")).is_ok_and(|stat| !stat.contains(") Z ")) {
        assert!(start.elapsed() < PATIENCE, "{process} outlived its channel");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn what_a_command_leaves_behind_ends_with_it() {
    let guest = Guest::start();
    // In time.
    let (command, file) = left_behind(&guest, "");
    let output = guest
        .client
        .output(&command.timeout(Duration::from_secs(1)), b"")
        .unwrap();
    assert_eq!((output.exit, output.stdout), (Exit::TimedOut, b"started\n".to_vec()));
    goes(&process_in(&file));
    // By a signal.
    let (command, file) = left_behind(&guest, "");
    let running = guest.client.exec(&command).unwrap();
    let process = process_in(&file);
    assert_eq!(
        running.read(Port::Output, 100).unwrap().as_deref(),
        Some(&b"started\n"[..])
    );
    running.signal(Signal::Kill).unwrap();
    assert_eq!(running.read(Port::Output, 100).unwrap(), None);
    assert_eq!(running.wait().unwrap(), Exit::Code(0));
    goes(&process);
    // By its cancellation.
    let (command, file) = left_behind(&guest, "");
    let running = guest.client.exec(&command).unwrap();
    let process = process_in(&file);
    assert_eq!(
        running.read(Port::Output, 100).unwrap().as_deref(),
        Some(&b"started\n"[..])
    );
    drop(running);
    goes(&process);
}

#[test]
fn who_leaves_the_command_keeps_nothing_of_the_agent() {
    let guest = Guest::start();
    let (command, file) = left_behind(&guest, "setsid");
    let command = command.timeout(Duration::from_secs(1));
    let output = guest.client.output(&command, b"").unwrap();
    assert_eq!((output.exit, output.stdout), (Exit::TimedOut, b"started\n".to_vec()));
    let mut left = vec![process_in(&file)];
    // More of them than the agent allows at a time.
    for _ in 0..40 {
        let (command, file) = left_behind(&guest, "setsid");
        let start = Instant::now();
        let running = loop {
            match guest.client.exec(&command) {
                Err(ClientError::Failed(failure)) if failure.kind == FailureKind::Busy => {
                    assert!(start.elapsed() < PATIENCE, "the agent stays busy");
                    thread::sleep(Duration::from_millis(10));
                }
                started => break started.unwrap(),
            }
        };
        left.push(process_in(&file));
        drop(running);
    }
    for process in left {
        let id = process.trim_start_matches("/proc/");
        assert!(std::process::Command::new("kill").arg(id).status().unwrap().success());
    }
}

#[test]
fn commands_run_side_by_side_and_a_flood_stalls_only_itself() {
    let guest = Guest::start();
    let flood = guest.client.exec(&Command::new(["yes"])).unwrap();
    thread::sleep(Duration::from_millis(200));
    thread::scope(|scope| {
        for number in 0..4 {
            let client = &guest.client;
            scope.spawn(move || {
                for round in 0..5 {
                    let text = format!("{number}/{round}");
                    let output = client
                        .output(&Command::shell(format!("sleep 0.01; echo {text}")), b"")
                        .unwrap();
                    assert_eq!(output.stdout, format!("{text}\n").into_bytes());
                }
            });
        }
    });
    let first = flood.read(Port::Output, 4).unwrap();
    assert_eq!(first.as_deref(), Some(&b"y\ny\n"[..]));
}

#[test]
fn files_go_both_ways_with_their_permissions() {
    let guest = Guest::start();
    let (there, original) = (guest.path("there"), content(500_000));
    guest
        .client
        .put(&put(&there, original.len()), &mut Cursor::new(&original))
        .unwrap();
    assert!(fs::read(&there).unwrap() == original);
    assert_eq!(fs::metadata(&there).unwrap().permissions().mode() & 0o7777, 0o640);
    assert!(!fs::exists(guest.path(".there.serial-part")).unwrap());

    let mut back = Cursor::new(Vec::new());
    let facts = guest.client.get(&there, &mut back).unwrap();
    assert_eq!((facts.size, facts.mode), (original.len() as u64, Some(0o640)));
    assert!(back.into_inner() == original);

    guest.client.put(&put(&there, 0), &mut Cursor::new(b"")).unwrap();
    assert_eq!(fs::read(&there).unwrap(), b"");
}

#[test]
fn files_survive_a_line_that_is_cut_again_and_again() {
    let guest = Guest::start();
    let (there, original) = (guest.path("there"), content(2_000_000));
    thread::scope(|scope| {
        let copied = scope.spawn(|| {
            guest
                .client
                .put(&put(&there, original.len()), &mut Cursor::new(&original))
                .unwrap();
            let mut back = Cursor::new(Vec::new());
            guest.client.get(&there, &mut back).unwrap();
            back.into_inner()
        });
        for _ in 0..5 {
            thread::sleep(Duration::from_millis(60));
            guest.cut.store(true, Ordering::Relaxed);
            thread::sleep(Duration::from_millis(60));
            guest.cut.store(false, Ordering::Relaxed);
        }
        assert!(copied.join().unwrap() == original);
    });
    assert!(fs::read(&there).unwrap() == original);
}

#[test]
fn a_transfer_goes_on_after_the_agent_was_started_anew() {
    let mut guest = Guest::start();
    let (there, original) = (guest.path("there"), content(400_000));
    fs::write(guest.path(".there.serial-part"), &original[..150_000]).unwrap();
    guest.restart_agent();
    let start = Instant::now();
    while guest.client.ping().is_err() {
        assert!(start.elapsed() < PATIENCE);
        thread::sleep(Duration::from_millis(10));
    }
    let resumed = Put {
        resume: true,
        ..put(&there, original.len())
    };
    guest.client.put(&resumed, &mut Cursor::new(&original)).unwrap();
    assert!(fs::read(&there).unwrap() == original);

    let mut back = Cursor::new(original[..123_456].to_vec());
    guest.client.get(&there, &mut back).unwrap();
    assert!(back.into_inner() == original);
}

#[test]
fn the_start_of_another_file_is_noticed() {
    let guest = Guest::start();
    let (there, original) = (guest.path("there"), content(50_000));
    fs::write(&there, b"as it was").unwrap();
    fs::write(guest.path(".there.serial-part"), b"of another file").unwrap();
    let resumed = Put {
        resume: true,
        ..put(&there, original.len())
    };
    let error = guest.client.put(&resumed, &mut Cursor::new(&original)).unwrap_err();
    assert_eq!(kind(error), FailureKind::Checksum);
    assert_eq!(fs::read(&there).unwrap(), b"as it was");

    let mut other = Cursor::new(b"of an".to_vec());
    assert!(matches!(
        guest.client.get(&there, &mut other),
        Err(ClientError::Checksum { .. })
    ));
}

#[test]
fn what_is_no_file_is_refused() {
    let guest = Guest::start();
    let mut sink = Cursor::new(Vec::new());
    let error = guest.client.get("/no/such/file", &mut sink).unwrap_err();
    assert!(error.to_string().contains("/no/such/file"), "{error}");
    assert_eq!(kind(error), FailureKind::NotFound);
    assert_eq!(
        kind(guest.client.get("/dev/zero", &mut sink).unwrap_err()),
        FailureKind::Invalid
    );
    assert_eq!(
        kind(guest.client.put(&put("/tmp", 1), &mut Cursor::new(b"x")).unwrap_err()),
        FailureKind::Invalid
    );
    assert_eq!(
        kind(guest.client.put(&put("name", 1), &mut Cursor::new(b"x")).unwrap_err()),
        FailureKind::Invalid
    );
}

#[test]
fn a_full_disk_is_reported_and_left_as_it_was() {
    let guest = Guest::start();
    let disk = guest.path("disk");
    fs::create_dir(&disk).unwrap();
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=256k", "tmpfs", &disk])
        .output();
    if !mounted.is_ok_and(|output| output.status.success()) {
        assert!(std::env::var_os("CI").is_none(), "a small disk cannot be mounted");
        eprintln!("skipped: a small disk cannot be mounted");
        return;
    }
    let there = format!("{disk}/there");
    let original = content(1_000_000);
    let error = guest
        .client
        .put(&put(&there, original.len()), &mut Cursor::new(&original))
        .unwrap_err();
    let left = fs::read_dir(&disk).unwrap().count();
    std::process::Command::new("umount").arg(&disk).status().unwrap();
    assert!(error.to_string().contains(&there), "{error}");
    assert_eq!(kind(error), FailureKind::NoSpace);
    assert_eq!(left, 0);
}

#[test]
fn kernel_messages_in_between_harm_nothing_and_are_shown() {
    let guest = Guest::start();
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..50 {
                (&guest.port)
                    .write_all(format!("[{number:3}] usb 1-1: a device\r\n").as_bytes())
                    .unwrap();
                thread::sleep(Duration::from_millis(5));
            }
        });
        for number in 0..50 {
            let output = guest
                .client
                .output(&Command::shell(format!("echo {number}; exit {number}")), b"")
                .unwrap();
            assert_eq!(
                (output.exit, output.stdout),
                (Exit::Code(number), format!("{number}\n").into_bytes())
            );
        }
    });
    let console = guest.console.lock().unwrap();
    let lines = String::from_utf8_lossy(&console).matches("usb 1-1: a device").count();
    assert!(lines >= 45, "only {lines} of 50 lines were seen");
}

#[test]
fn a_wrong_secret_is_named() {
    let guest = Guest::with_secret("a secret, but another one");
    let error = guest.client.connected(PATIENCE).unwrap_err();
    assert!(matches!(error, ClientError::Refused(Refusal::WrongSecret)), "{error}");
    assert!(guest.client.ping().is_err());
}

#[test]
fn a_new_agent_ends_what_waits_for_the_old_one() {
    let mut guest = Guest::start();
    let running = guest.client.exec(&Command::new(["sleep", "5"])).unwrap();
    guest.restart_agent();
    assert!(running.wait().is_err());
    guest.client.ping().unwrap();
}

#[test]
fn the_report_names_the_system() {
    let guest = Guest::start();
    let report = guest.client.report().unwrap();
    assert!(report.kernel.starts_with("Linux "), "{report:?}");
    assert_eq!(report.architecture, std::env::consts::ARCH);
    assert!(
        !report.hostname.is_empty() && !report.system.is_empty() && report.uptime.is_some(),
        "{report:?}"
    );
}

#[test]
fn more_than_the_agent_allows_is_refused_and_works_again_later() {
    let guest = Guest::start();
    let running: Vec<_> = std::iter::from_fn(|| guest.client.exec(&Command::new(["sleep", "1000"])).ok())
        .take(100)
        .collect();
    assert_eq!(running.len(), 32);
    assert_eq!(
        kind(guest.client.exec(&Command::new(["true"])).unwrap_err()),
        FailureKind::Busy
    );
    drop(running);
    let start = Instant::now();
    while guest.client.output(&Command::new(["true"]), b"").is_err() {
        assert!(start.elapsed() < PATIENCE);
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_secret_that_others_can_read_keeps_the_agent_from_starting() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    File::create(&secret).unwrap().write_all(b"0123456789abcdef").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o644)).unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_serial-agent"))
        .args(["--port", "/dev/null", "--secret"])
        .arg(&secret)
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("chmod 600"));
}
