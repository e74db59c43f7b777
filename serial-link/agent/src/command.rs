use std::io::{self, Read, Write};
use std::path::Path;
use std::process::{self, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use serial_link_protocol::blocking::Channel;
use serial_link_protocol::{Agent, Command, Exit, FailureKind, Port, Program, Reply};

use crate::failure::{failed, refused};
use crate::process::{Group, shell};
use crate::work::{Permit, Works};

const PIECE: usize = 16 << 10;

/// Runs a command to its end, and to the end of its streams.
pub(crate) fn run(channel: &Channel<Agent>, command: &Command, works: &Works, _: &Permit) {
    let last = start(channel, command, works).unwrap_or_else(|reply| reply);
    let _ = channel.reply(&last);
}

fn start(channel: &Channel<Agent>, command: &Command, works: &Works) -> Result<Reply, Reply> {
    let mut prepared = prepare(command)?;
    let name = prepared.get_program().to_string_lossy().into_owned();
    let (group, streams) =
        Group::start(&mut prepared).map_err(|error| failed(format_args!("cannot start {name}"), &error))?;
    let group = Arc::new(group);
    let key = (channel.session(), channel.number());
    if !works.started(key, Arc::clone(&group)) {
        group.end();
    }
    // Without a session nobody wants to know.
    let _ = channel.reply(&Reply::Started { pid: group.pid() });
    let feed = channel.clone();
    // Not joined: it may wait for input that never comes.
    thread::spawn(move || streams.input.map(|pipe| feed_input(&feed, pipe)));
    let limit = command.timeout.map(|limit| Limit::start(limit, &group));
    // What it has left behind may still say something, and is part of it: it can be signalled until it is silent.
    let waited = thread::scope(|scope| {
        scope.spawn(|| streams.output.map(|pipe| send_output(channel, Port::Output, pipe)));
        scope.spawn(|| streams.errors.map(|pipe| send_output(channel, Port::Errors, pipe)));
        group.wait()
    });
    let is_late = limit.is_some_and(Limit::stop);
    works.remove(key);
    match waited.and_then(|()| group.exit()) {
        Ok(_) if is_late => Ok(Reply::Exited(Exit::TimedOut)),
        Ok(exit) => Ok(Reply::Exited(exit)),
        Err(error) => Err(failed(format_args!("cannot wait for {name}"), &error)),
    }
}

fn prepare(command: &Command) -> Result<process::Command, Reply> {
    let mut prepared = match &command.program {
        Program::Shell(line) => shell(line),
        Program::Argv(argv) => {
            let Some((program, arguments)) = argv.split_first() else {
                return Err(refused(FailureKind::Invalid, "the command has no program"));
            };
            let mut prepared = process::Command::new(program);
            prepared.args(arguments);
            prepared
        }
    };
    if command.clean_environment {
        prepared.env_clear();
    }
    prepared.envs(command.environment.iter().map(|(name, value)| (name, value)));
    if let Some(folder) = &command.folder {
        // Otherwise the program would be said to be missing.
        if !Path::new(folder).is_dir() {
            return Err(refused(
                FailureKind::NotFound,
                format!("the folder {folder} does not exist"),
            ));
        }
        prepared.current_dir(folder);
    }
    let input = if command.input { Stdio::piped() } else { Stdio::null() };
    prepared.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped());
    Ok(prepared)
}

/// Kills a command that takes too long, with all that it has started.
struct Limit {
    /// Dropped when it is over.
    over: mpsc::Sender<()>,
    killed: Arc<AtomicBool>,
}

impl Limit {
    fn start(limit: Duration, group: &Arc<Group>) -> Self {
        let (over, end) = mpsc::channel();
        let (killed, group) = (Arc::new(AtomicBool::new(false)), Arc::clone(group));
        let kills = Arc::clone(&killed);
        thread::spawn(move || {
            if end.recv_timeout(limit) == Err(mpsc::RecvTimeoutError::Timeout) {
                kills.store(true, Ordering::Relaxed);
                group.end();
            }
        });
        Self { over, killed }
    }

    /// Whether it has killed the command.
    fn stop(self) -> bool {
        drop(self.over);
        self.killed.load(Ordering::Relaxed)
    }
}

fn feed_input(channel: &Channel<Agent>, mut pipe: impl Write) {
    while let Ok(Some(bytes)) = channel.read(Port::Input, PIECE) {
        if pipe.write_all(&bytes).is_err() {
            channel.stop(Port::Input);
            return;
        }
    }
}

fn send_output(channel: &Channel<Agent>, port: Port, mut pipe: impl Read) {
    let mut piece = vec![0; PIECE];
    loop {
        match pipe.read(&mut piece) {
            Ok(0) => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
            // Closing the pipe tells the command that nobody listens.
            Ok(count) => {
                if channel.write_all(port, &piece[..count]).is_err() {
                    return;
                }
            }
        }
    }
    let _ = channel.end(port);
}
