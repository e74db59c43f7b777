//! A line through values in xenstore, where there is no port to use.

use std::fs::{File, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read, Write};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serial_link_protocol::{Agent, Board};
use xenstore_wire::{Decoder, Kind, Message, Refusal, Request, XenStorePath, event, refusal};

/// Opens a line through a folder of this guest's xenstore.
pub(crate) fn open(device: &Path, folder: &str) -> io::Result<(Reader, Writer)> {
    let folder = XenStorePath::own(folder).map_err(io::Error::other)?;
    let mut watch = Connection::open(device)?;
    watch.ask(&Request::watch(&folder, "board"))?;
    let store = Connection::open(device)?;
    let number = RandomState::new().hash_one(0) as u32;
    let shared = Arc::new(Shared {
        state: Mutex::new(State {
            board: Board::new(number),
            changed: Vec::new(),
            wish: true,
            failed: None,
        }),
        signal: Condvar::new(),
    });
    let (watching, below) = (shared.clone(), folder.clone());
    // Both end with the line; the one that waits for xenstore at its next event.
    thread::spawn(move || watching.end(watching.watch(watch, &below)));
    let working = shared.clone();
    thread::spawn(move || working.end(working.work(store, &folder)));
    Ok((Reader(shared.clone()), Writer(shared)))
}

struct Shared {
    state: Mutex<State>,
    signal: Condvar,
}

struct State {
    board: Board<Agent>,
    /// Names of the other end's that may have a new value.
    changed: Vec<String>,
    /// There may be something to post.
    wish: bool,
    failed: Option<String>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>, most: Duration) -> MutexGuard<'a, State> {
        let waited = self.signal.wait_timeout(state, most);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn end(&self, ended: io::Result<()>) {
        let mut state = self.state();
        if let Err(error) = ended {
            state.failed.get_or_insert(error.to_string());
        }
        self.signal.notify_all();
    }

    fn watch(&self, mut watch: Connection, folder: &XenStorePath) -> io::Result<()> {
        loop {
            let path = watch.event()?;
            let mut state = self.state();
            if state.failed.is_some() {
                return Ok(());
            }
            match path.strip_prefix(folder.as_str()) {
                Some("") => state.changed.extend(Board::<Agent>::theirs()),
                Some(name) => state.changed.push(name.trim_start_matches('/').to_owned()),
                None => {}
            }
            state.changed.retain(|name| Board::<Agent>::is_theirs(name));
            state.changed.sort();
            state.changed.dedup();
            self.signal.notify_all();
        }
    }

    fn work(&self, mut store: Connection, folder: &XenStorePath) -> io::Result<()> {
        let start = Instant::now();
        loop {
            let mut state = self.state();
            while state.changed.is_empty() && !state.wish {
                let wake_at = state.board.wake_at().unwrap_or(Duration::MAX);
                let left = wake_at.saturating_sub(start.elapsed());
                if left.is_zero() {
                    break;
                }
                state = self.wait(state, left.min(Duration::from_secs(3600)));
                if state.failed.is_some() {
                    return Ok(());
                }
            }
            state.wish = false;
            let names = std::mem::take(&mut state.changed);
            drop(state);
            let mut seen = Vec::new();
            for name in names {
                let path = folder.child(&name).map_err(io::Error::other)?;
                let value = store.read(&path)?;
                seen.extend(
                    value
                        .and_then(|value| String::from_utf8(value).ok())
                        .map(|value| (name, value)),
                );
            }
            let mut state = self.state();
            for (name, value) in &seen {
                state.board.see(name, value);
            }
            let posts = state.board.post(start.elapsed());
            self.signal.notify_all();
            drop(state);
            for (name, value) in posts {
                let path = folder.child(&name).map_err(io::Error::other)?;
                store.ask(&Request::write(&path, value.as_bytes()))?;
            }
        }
    }

    /// Does something with the board as soon as it can, and has the worker look what there is to post.
    fn until<T>(&self, mut act: impl FnMut(&mut Board<Agent>) -> Option<T>) -> io::Result<T> {
        let mut state = self.state();
        loop {
            if let Some(reason) = &state.failed {
                return Err(io::Error::other(reason.clone()));
            }
            if let Some(done) = act(&mut state.board) {
                state.wish = true;
                self.signal.notify_all();
                return Ok(done);
            }
            state = self.wait(state, Duration::from_secs(3600));
        }
    }
}

/// What comes from the host.
pub(crate) struct Reader(Arc<Shared>);

impl Read for Reader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.until(|board| {
            let bytes = board.read(into.len());
            into[..bytes.len()].copy_from_slice(&bytes);
            (!bytes.is_empty()).then_some(bytes.len())
        })
    }
}

/// What goes to the host.
pub(crate) struct Writer(Arc<Shared>);

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .until(|board| Some(board.write(bytes)).filter(|taken| *taken > 0))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.end(Err(io::Error::other("the line was closed")));
    }
}

/// A connection to xenstore that waits for each answer.
struct Connection {
    line: Line,
    decoder: Decoder,
    last: u32,
    events: Vec<String>,
}

/// The kernel's device, or a socket.
enum Line {
    Device(File),
    Socket(UnixStream),
}

impl Connection {
    fn open(device: &Path) -> io::Result<Self> {
        let opened = std::fs::metadata(device).and_then(|facts| match facts.file_type().is_socket() {
            true => UnixStream::connect(device).map(Line::Socket),
            false => OpenOptions::new().read(true).write(true).open(device).map(Line::Device),
        });
        let line = opened.map_err(|error| {
            let device = device.display();
            io::Error::new(
                error.kind(),
                format!("cannot open {device}: {error}; is this a guest of Xen?"),
            )
        })?;
        Ok(Self {
            line,
            decoder: Decoder::new(),
            last: 0,
            events: Vec::new(),
        })
    }

    fn read(&mut self, path: &XenStorePath) -> io::Result<Option<Vec<u8>>> {
        match self.answer(&Request::read(path))? {
            Ok(message) => Ok(Some(message.payload)),
            Err(Refusal::Absent) => Ok(None),
            Err(refusal) => Err(io::Error::other(format!("xenstore does not tell {path}: {refusal}"))),
        }
    }

    fn ask(&mut self, request: &Request) -> io::Result<()> {
        let answer = self.answer(request)?;
        answer.map(drop).map_err(|refusal| {
            io::Error::other(format!(
                "xenstore refuses {:?} below the agent's folder: {refusal}",
                request.kind()
            ))
        })
    }

    fn answer(&mut self, request: &Request) -> io::Result<Result<Message, Refusal>> {
        self.last = self.last.wrapping_add(1).max(1);
        let bytes = request.encode(self.last, 0).map_err(io::Error::other)?;
        match &mut self.line {
            Line::Device(device) => device.write_all(&bytes)?,
            Line::Socket(socket) => socket.write_all(&bytes)?,
        }
        loop {
            let message = self.message()?;
            if message.kind == Kind::WatchEvent {
                self.events.push(event(&message).map_err(io::Error::other)?.0);
            } else if message.request == self.last {
                return Ok(match refusal(&message) {
                    Some(refusal) => Err(refusal),
                    None => Ok(message),
                });
            }
        }
    }

    /// The path of the next change.
    fn event(&mut self) -> io::Result<String> {
        loop {
            if let Some(path) = self.events.pop() {
                return Ok(path);
            }
            let message = self.message()?;
            if message.kind == Kind::WatchEvent {
                self.events.push(event(&message).map_err(io::Error::other)?.0);
            }
        }
    }

    fn message(&mut self) -> io::Result<Message> {
        loop {
            if let Some(message) = self.decoder.message().map_err(io::Error::other)? {
                return Ok(message);
            }
            let mut piece = [0; 4096];
            let length = match &mut self.line {
                Line::Device(device) => device.read(&mut piece)?,
                Line::Socket(socket) => socket.read(&mut piece)?,
            };
            if length == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.decoder.feed(&piece[..length]);
        }
    }
}
