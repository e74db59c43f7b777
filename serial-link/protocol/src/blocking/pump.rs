use std::fmt;
use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::link::{Config, Event, Link};
use crate::role::Role;

/// What is handed to the operating system at a time: it cannot be overtaken there.
const BATCH: usize = 2048;

/// A link that many threads share, and the two that move bytes between it and a line.
pub struct Pump<R: Role>(Arc<Shared<R>>);

type Handler<R> = Box<dyn FnMut(&mut Link<R>, Event<<R as Role>::Incoming>) + Send>;

struct Shared<R: Role> {
    state: Mutex<State<R>>,
    changed: Condvar,
    start: Instant,
}

struct State<R: Role> {
    link: Link<R>,
    on_event: Handler<R>,
}

impl<R: Role> Pump<R> {
    /// A link that hands its events to `on_event`, which must not wait for anything.
    pub fn new(config: Config, on_event: impl FnMut(&mut Link<R>, Event<R::Incoming>) + Send + 'static) -> Self {
        let state = State {
            link: Link::new(config),
            on_event: Box::new(on_event),
        };
        Self(Arc::new(Shared {
            state: Mutex::new(state),
            changed: Condvar::new(),
            start: Instant::now(),
        }))
    }

    /// Moves bytes until the line ends: `Ok` at the end of what it brings, or the error that it made. The link and its
    /// session stay, for the next line.
    ///
    /// # Errors
    /// What reading said first, or else writing.
    pub fn run(&self, mut from_line: impl Read, to_line: impl Write + Send) -> io::Result<()> {
        let over = AtomicBool::new(false);
        self.with(|link, now| link.line_restored(now));
        thread::scope(|scope| {
            let writer = scope.spawn(|| self.write(to_line, &over));
            let read = self.read(&mut from_line);
            over.store(true, Ordering::Relaxed);
            // Under the lock, so that the writer is not just about to wait.
            drop(self.state());
            self.0.changed.notify_all();
            let written = writer
                .join()
                .unwrap_or_else(|_| Err(io::Error::other("the writing thread panicked")));
            read.and(written)
        })
    }

    fn read(&self, from_line: &mut impl Read) -> io::Result<()> {
        let mut buffer = vec![0; 16 << 10];
        loop {
            match from_line.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => self.with(|link, now| link.receive(&buffer[..count], now)),
                Err(error) if is_passing(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn write(&self, mut to_line: impl Write, over: &AtomicBool) -> io::Result<()> {
        let mut batch = Vec::with_capacity(2 * BATCH);
        loop {
            let mut state = self.state();
            loop {
                if over.load(Ordering::Relaxed) {
                    return Ok(());
                }
                let now = self.now();
                while batch.len() < BATCH && state.link.transmit(now, &mut batch) {}
                self.tell(&mut state);
                if !batch.is_empty() {
                    break;
                }
                state = match state.link.wake_at(now) {
                    Some(at) => {
                        let pause = at.saturating_sub(now).max(Duration::from_millis(1));
                        self.0
                            .changed
                            .wait_timeout(state, pause)
                            .unwrap_or_else(PoisonError::into_inner)
                            .0
                    }
                    None => self.0.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                };
            }
            drop(state);
            to_line.write_all(&batch)?;
            to_line.flush()?;
            batch.clear();
        }
    }

    /// Does something with the link, at this time, and lets everybody look what it changed.
    pub fn with<T>(&self, act: impl FnOnce(&mut Link<R>, Duration) -> T) -> T {
        let mut state = self.state();
        let result = act(&mut state.link, self.now());
        self.tell(&mut state);
        self.0.changed.notify_all();
        result
    }

    /// Waits until `look` finds what it wants.
    pub fn wait_for<T>(&self, look: impl FnMut(&mut Link<R>) -> Option<T>) -> T {
        self.wait(None, look)
            .unwrap_or_else(|| unreachable!("without a limit there is no end but success"))
    }

    /// Waits until `look` finds what it wants, or the time is over.
    pub fn wait_at_most<T>(&self, limit: Duration, look: impl FnMut(&mut Link<R>) -> Option<T>) -> Option<T> {
        self.wait(Some(Instant::now() + limit), look)
    }

    fn wait<T>(&self, until: Option<Instant>, mut look: impl FnMut(&mut Link<R>) -> Option<T>) -> Option<T> {
        let mut state = self.state();
        loop {
            let found = look(&mut state.link);
            self.tell(&mut state);
            if found.is_some() {
                // Reading gives credit, and writing fills buffers: there is something to send.
                self.0.changed.notify_all();
                return found;
            }
            state = match until {
                None => self.0.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(until) => {
                    let left = until.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return None;
                    }
                    self.0
                        .changed
                        .wait_timeout(state, left)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0
                }
            };
        }
    }

    fn tell(&self, state: &mut MutexGuard<'_, State<R>>) {
        let State { link, on_event } = &mut **state;
        let mut told = false;
        while let Some(event) = link.event() {
            on_event(link, event);
            told = true;
        }
        if told {
            self.0.changed.notify_all();
        }
    }

    fn state(&self) -> MutexGuard<'_, State<R>> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Duration {
        self.0.start.elapsed()
    }
}

/// Whether reading may simply be tried again: serial ports have time limits of their own.
fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::Interrupted | io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock
    )
}

impl<R: Role> Clone for Pump<R> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<R: Role> fmt::Debug for Pump<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pump").finish_non_exhaustive()
    }
}
