//! A stand-in for oxenstored: values in memory that a host and a guest share, with its limits. A value above 2048 bytes is
//! refused, and who sends a message above 4096 bytes never gets an answer again.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;

use xenstore_wire::{Decoder, Kind, Message};

/// What a guest's names are below.
const HOME: &str = "/local/domain/7/";

#[derive(Clone, Default)]
pub(crate) struct Store(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    values: BTreeMap<String, Vec<u8>>,
    watches: Vec<Watch>,
    /// What guests may not write below.
    forbidden: Option<&'static str>,
    /// How many values there may be.
    quota: Option<usize>,
    largest: usize,
    wedged: bool,
    written: u64,
}

struct Watch {
    path: String,
    token: String,
    /// A guest's watch tells names as it gave them.
    is_guest: bool,
    to: UnixStream,
}

impl Store {
    /// Serves a socket of the host or of the guest.
    pub(crate) fn serve(&self, socket: &Path, is_guest: bool) {
        let listener = UnixListener::bind(socket).unwrap();
        let store = self.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (store, stream) = (store.clone(), stream.unwrap());
                thread::spawn(move || store.connection(stream, is_guest));
            }
        });
    }

    pub(crate) fn write(&self, path: &str, value: &str) {
        self.0.lock().unwrap().values.insert(path.into(), value.into());
    }

    /// No more values than there are.
    pub(crate) fn fill(&self) {
        let mut state = self.0.lock().unwrap();
        state.quota = Some(state.values.len());
    }

    pub(crate) fn make_room(&self) {
        self.0.lock().unwrap().quota = None;
    }

    /// The largest value that anybody wrote, in bytes, and how many were written.
    pub(crate) fn seen(&self) -> (usize, u64) {
        let state = self.0.lock().unwrap();
        assert!(!state.wedged, "somebody sent what no xenstore forgives");
        (state.largest, state.written)
    }

    /// Guests may not write below this, as on plain Xen.
    pub(crate) fn forbid(&self, folder: &'static str) {
        self.0.lock().unwrap().forbidden = Some(folder);
    }

    /// What is below a folder of the guest's, by the names that it has there.
    pub(crate) fn below(&self, folder: &str) -> BTreeMap<String, String> {
        let state = self.0.lock().unwrap();
        let named = |(path, value): (&String, &Vec<u8>)| {
            let name = path.strip_prefix(HOME)?;
            let is_below = name.starts_with(folder);
            is_below.then(|| (name.to_owned(), String::from_utf8_lossy(value).into_owned()))
        };
        state.values.iter().filter_map(named).collect()
    }

    /// What VM.set_xenstore_data does: the folder has these values, and no others.
    pub(crate) fn replace(&self, folder: &str, values: &BTreeMap<String, String>) {
        let mut state = self.0.lock().unwrap();
        let state = &mut *state;
        let folder = format!("{HOME}{folder}");
        state.values.retain(|path, _| !path.starts_with(&folder));
        for (name, value) in values {
            let path = format!("{HOME}{name}");
            state.values.insert(path.clone(), value.clone().into_bytes());
            state
                .watches
                .retain_mut(|watch| !path.starts_with(&watch.path) || watch.tell(&path).is_ok());
        }
    }

    fn connection(&self, mut stream: UnixStream, is_guest: bool) {
        let mut decoder = Decoder::new();
        let mut piece = [0; 777];
        while let Ok(length @ 1..) = stream.read(&mut piece) {
            decoder.feed(&piece[..length]);
            loop {
                match decoder.message() {
                    Ok(Some(message)) => self.answer(&message, &mut stream, is_guest),
                    Ok(None) => break,
                    Err(_) => {
                        self.0.lock().unwrap().wedged = true;
                        return;
                    }
                }
            }
        }
    }

    fn answer(&self, message: &Message, stream: &mut UnixStream, is_guest: bool) {
        let mut parts = message.payload.splitn(2, |&byte| byte == 0);
        let name = String::from_utf8(parts.next().unwrap().to_vec()).unwrap();
        let rest = parts.next().unwrap_or_default();
        let path = match is_guest && !name.starts_with(['/', '@']) {
            true => format!("{HOME}{name}"),
            false => name,
        };
        let mut state = self.0.lock().unwrap();
        let state = &mut *state;
        let mut told = Vec::new();
        let answer = match message.kind {
            Kind::Read => state.values.get(&path).cloned().ok_or("ENOENT"),
            Kind::Directory => match state.values.keys().any(|known| known.starts_with(&format!("{path}/"))) {
                true => Ok(b"something\0".to_vec()),
                false => Err("ENOENT"),
            },
            Kind::Write if is_guest && state.forbidden.is_some_and(|folder| path.contains(folder)) => Err("EACCES"),
            Kind::Write if rest.len() > 2048 => Err("E2BIG"),
            Kind::Write
                if !state.values.contains_key(&path) && state.quota.is_some_and(|most| state.values.len() >= most) =>
            {
                Err("EQUOTA")
            }
            Kind::Write => {
                state.largest = state.largest.max(rest.len());
                state.written += 1;
                state.values.insert(path.clone(), rest.to_vec());
                told.push(path);
                Ok(b"OK\0".to_vec())
            }
            Kind::Watch => {
                let token = String::from_utf8(rest.to_vec())
                    .unwrap()
                    .trim_end_matches('\0')
                    .to_owned();
                let to = stream.try_clone().unwrap();
                state.watches.push(Watch {
                    path: path.clone(),
                    token,
                    is_guest,
                    to,
                });
                // The first event comes at once, to this watch alone.
                let watch = state.watches.pop().unwrap();
                let _ = watch.tell(&path);
                state.watches.push(watch);
                Ok(b"OK\0".to_vec())
            }
            _ => Err("ENOSYS"),
        };
        let (kind, payload) = match answer {
            Ok(payload) => (message.kind, payload),
            Err(name) => (Kind::Error, format!("{name}\0").into_bytes()),
        };
        let answer = Message {
            kind,
            request: message.request,
            transaction: 0,
            payload,
        };
        let _ = stream.write_all(&answer.encode());
        for path in told {
            state
                .watches
                .retain_mut(|watch| !path.starts_with(&watch.path) || watch.tell(&path).is_ok());
        }
    }
}

impl Watch {
    fn tell(&self, path: &str) -> std::io::Result<()> {
        let shown = if self.is_guest {
            path.strip_prefix(HOME).unwrap_or(path)
        } else {
            path
        };
        let event = Message {
            kind: Kind::WatchEvent,
            request: 0,
            transaction: 0,
            payload: format!("{shown}\0{}\0", self.token).into_bytes(),
        };
        (&self.to).write_all(&event.encode())
    }
}
