use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serial_link_protocol::{Digest, Signal};

use crate::process::Group;

/// How many commands and transfers may be going on.
pub(crate) const MOST: usize = 32;

/// What is going on, by session and channel.
#[derive(Default)]
pub(crate) struct Works {
    works: Mutex<HashMap<Key, Work>>,
    threads: AtomicUsize,
}

pub(crate) type Key = (u32, u32);

/// What can still be said to something that is going on.
pub(crate) enum Work {
    /// A command that does not run yet: nothing.
    Starting,
    /// A command: signals.
    Command(Arc<Group>),
    /// A file from the host: its checksum.
    Upload(Sender<Digest>),
    /// A file or a report to the host: nothing.
    Download,
}

/// The right to do something; it comes back when the thread that has it ends, however long its channel is gone.
pub(crate) struct Permit(Arc<Works>);

impl Works {
    pub(crate) fn permit(self: &Arc<Self>) -> Option<Permit> {
        let taken = self.threads.fetch_add(1, Ordering::Relaxed);
        let permit = Permit(Arc::clone(self));
        (taken < MOST).then_some(permit)
    }

    /// Whether nothing was going on there.
    pub(crate) fn begin(&self, key: Key, work: Work) -> bool {
        match self.lock().entry(key) {
            Entry::Occupied(_) => false,
            Entry::Vacant(place) => {
                place.insert(work);
                true
            }
        }
    }

    /// Takes note that a command runs; not if it was cancelled, or its session ended, while it was being started.
    pub(crate) fn started(&self, key: Key, group: Arc<Group>) -> bool {
        match self.lock().get_mut(&key) {
            Some(work) => {
                *work = Work::Command(group);
                true
            }
            None => false,
        }
    }

    pub(crate) fn remove(&self, key: Key) -> Option<Work> {
        self.lock().remove(&key)
    }

    /// Whether there was something that takes a signal.
    pub(crate) fn signal(&self, key: Key, signal: Signal) -> bool {
        match self.lock().get(&key) {
            Some(Work::Command(group)) => {
                group.signal(signal);
                true
            }
            _ => false,
        }
    }

    /// Ends a command with all that it has started; whether there was one.
    pub(crate) fn cancel(&self, key: Key) -> bool {
        match self.lock().get(&key) {
            Some(Work::Command(group)) => {
                group.end();
                true
            }
            _ => false,
        }
    }

    /// Whether there was something that waits for a checksum.
    pub(crate) fn commit(&self, key: Key, digest: Digest) -> bool {
        match self.lock().get(&key) {
            Some(Work::Upload(sender)) => sender.send(digest).is_ok(),
            _ => false,
        }
    }

    /// Ends everything of a session.
    pub(crate) fn end(&self, session: u32) {
        self.lock().retain(|&(of, _), work| {
            if of == session
                && let Work::Command(group) = work
            {
                group.end();
            }
            of != session
        });
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Work>> {
        self.works.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.threads.fetch_sub(1, Ordering::Relaxed);
    }
}
