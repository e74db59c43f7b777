//! The connections to one disk.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::connect::{self, Connection};
use super::{Error, Export, Options, Target};

/// How many connections are made where the server says that several are fine.
const SEVERAL: usize = 4;
/// How long the greeting of a further connection is waited for: some servers let it wait until the first one ends.
const FURTHER: Duration = Duration::from_secs(5);

/// Connections that are lent out one by one.
#[derive(Debug)]
pub(super) struct Pool {
    target: Target,
    options: Options,
    export: Export,
    knows_holes: bool,
    state: Mutex<State>,
    returned: Condvar,
    /// Something was written after the last flush.
    is_unflushed: AtomicBool,
    /// A connection broke meanwhile, so that nobody knows what became of it.
    is_lost: AtomicBool,
}

#[derive(Debug)]
struct State {
    idle: Vec<Connection>,
    open: usize,
    most: usize,
}

impl Pool {
    pub(super) fn open(target: &Target, options: &Options) -> Result<Self, Error> {
        let first = connect::open(target, options.patience, options.patience, options.holes)?;
        let export = first.export();
        let coherent = export.can_multiple_connections();
        let most = match options.connections {
            // What is written over one connection need not be seen over another.
            _ if options.writable && !export.is_read_only() && !coherent => 1,
            Some(most) => most.get(),
            None if coherent => SEVERAL,
            None => 1,
        };
        Ok(Self {
            target: target.clone(),
            options: options.clone(),
            export,
            knows_holes: first.knows_holes(),
            state: Mutex::new(State {
                idle: vec![first],
                open: 1,
                most,
            }),
            returned: Condvar::new(),
            is_unflushed: AtomicBool::new(false),
            is_lost: AtomicBool::new(false),
        })
    }

    pub(super) fn target(&self) -> &Target {
        &self.target
    }

    pub(super) fn options(&self) -> &Options {
        &self.options
    }

    pub(super) fn export(&self) -> Export {
        self.export
    }

    pub(super) fn knows_holes(&self) -> bool {
        self.knows_holes
    }

    /// Something is going to be written that only a flush makes last.
    pub(super) fn note_write(&self) {
        self.is_unflushed.store(true, Ordering::Relaxed);
    }

    /// Everything up to here is going to be flushed, if it still can be.
    pub(super) fn begin_flush(&self) -> Result<(), Error> {
        self.is_unflushed.store(false, Ordering::Relaxed);
        match self.is_lost.swap(false, Ordering::Relaxed) {
            true => Err(Error::UnflushedLost),
            false => Ok(()),
        }
    }

    fn note_break(&self) {
        if self.is_unflushed.load(Ordering::Relaxed) {
            self.is_lost.store(true, Ordering::Relaxed);
        }
    }

    /// How many connections there can be.
    pub(super) fn most(&self) -> usize {
        self.state().most
    }

    /// A connection, as soon as there is one.
    pub(super) fn lend(&self) -> Result<Lease<'_>, Error> {
        let mut state = self.state();
        loop {
            if let Some(connection) = state.idle.pop() {
                return Ok(self.lease(connection));
            }
            if state.open < state.most {
                break;
            }
            state = self.returned.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let others = state.open;
        state.open += 1;
        drop(state);
        let greeting = match others {
            0 => self.options.patience,
            _ => self.options.patience.min(FURTHER),
        };
        match self.connect(greeting) {
            Ok(connection) => Ok(self.lease(connection)),
            Err(error) => {
                let mut state = self.state();
                state.open -= 1;
                if state.open == 0 {
                    self.returned.notify_one();
                    return Err(error);
                }
                // The server has enough of us.
                state.most = state.open;
                drop(state);
                self.lend()
            }
        }
    }

    fn connect(&self, greeting: Duration) -> Result<Connection, Error> {
        let connection = connect::open(&self.target, greeting, self.options.patience, self.knows_holes)?;
        let (expected, found) = (self.export.size(), connection.export().size());
        match expected == found {
            true => Ok(connection),
            false => Err(Error::SizeChanged { expected, found }),
        }
    }

    fn lease(&self, connection: Connection) -> Lease<'_> {
        Lease {
            pool: self,
            connection: Some(connection),
            is_sound: true,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        for mut connection in self.state().idle.drain(..) {
            connection.leave();
            connection.stream_mut().close();
        }
    }
}

/// A connection that comes back, unless it is broken.
#[derive(Debug)]
pub(super) struct Lease<'a> {
    pool: &'a Pool,
    connection: Option<Connection>,
    is_sound: bool,
}

impl Lease<'_> {
    /// The connection, for an exchange that [`end`](Self::end) or [`renew`](Self::renew) ends.
    pub(super) fn begin(&mut self) -> Result<&mut Connection, Error> {
        self.is_sound = false;
        match &mut self.connection {
            Some(connection) => Ok(connection),
            empty => Ok(empty.insert(self.pool.connect(self.pool.options.patience)?)),
        }
    }

    /// Nothing is on its way any more.
    pub(super) fn end(&mut self) {
        self.is_sound = true;
    }

    /// Connects again in place of a connection that broke in the way `broken`.
    pub(super) fn renew(&mut self, broken: &Error) -> Result<(), Error> {
        self.connection = None;
        self.pool.note_break();
        let again = self.pool.connect(self.pool.options.patience);
        self.connection = Some(again.map_err(|source| Error::NotAgain {
            first: super::error::chain(broken),
            source: Box::new(source),
        })?);
        Ok(())
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        let sound = self.connection.take().filter(|_| self.is_sound);
        if sound.is_none() {
            self.pool.note_break();
        }
        let mut state = self.pool.state();
        match sound {
            Some(connection) => state.idle.push(connection),
            None => state.open -= 1,
        }
        drop(state);
        self.pool.returned.notify_one();
    }
}
