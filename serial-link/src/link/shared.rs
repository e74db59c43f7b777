use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serial_link_protocol::{ClientError, Config, Event, Host, Inbox, Link, Reply};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

/// The link, for the pump and everybody who waits for something.
pub(super) struct Shared {
    state: Mutex<State>,
    /// Changes when there may be something to look for.
    changed: watch::Sender<()>,
    /// The pump may have something to send.
    pub(super) wishes: Notify,
    start: Instant,
}

/// Who gets what is no frame.
type Console = Box<dyn FnMut(&[u8]) + Send>;

pub(super) struct State {
    pub(super) link: Link<Host>,
    pub(super) inbox: Inbox,
    console: Console,
    was_idle: bool,
    /// Why the line is this client's no more.
    closed: Option<String>,
}

impl Shared {
    pub(super) fn new(config: Config, console: impl FnMut(&[u8]) + Send + 'static) -> Self {
        let state = State {
            link: Link::new(config),
            inbox: Inbox::default(),
            console: Box::new(console),
            was_idle: true,
            closed: None,
        };
        Self {
            state: Mutex::new(state),
            changed: watch::Sender::new(()),
            wishes: Notify::new(),
            start: Instant::now(),
        }
    }

    pub(super) fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// Does something with the link, and tells those whom its events concern.
    pub(super) fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state();
        let result = act(&mut state);
        let had_events = state.sort_events();
        // That all has arrived is no event, and waited for.
        let is_idle = state.link.is_idle();
        let has_settled = is_idle && !std::mem::replace(&mut state.was_idle, is_idle);
        if had_events || has_settled {
            self.changed.send_replace(());
        }
        result
    }

    /// What somebody wishes: there is then something to send, or room.
    pub(super) fn wish<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let result = self.with(act);
        self.wishes.notify_one();
        result
    }

    /// Waits until `look` finds something.
    pub(super) async fn wait_for<T>(
        &self,
        mut look: impl FnMut(&mut State) -> Option<Result<T, ClientError>>,
    ) -> Result<T, ClientError> {
        let mut changed = self.changed.subscribe();
        loop {
            changed.mark_unchanged();
            let found = self.with(|state| match look(state) {
                None => state.closed.clone().map(|reason| Err(ClientError::Line { reason })),
                found => found,
            });
            if let Some(found) = found {
                self.wishes.notify_one();
                return found;
            }
            // The sender lives as long as `self`.
            let _ = changed.changed().await;
        }
    }

    pub(super) fn close(&self, reason: String) {
        self.state().closed = Some(reason);
        self.changed.send_replace(());
    }

    /// Nothing that is done under the lock can fail half-way.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Says whether there was an event.
    fn sort_events(&mut self) -> bool {
        let mut any = false;
        while let Some(event) = self.link.event() {
            any = true;
            match event {
                Event::<Reply>::Console(text) => (self.console)(&text),
                event => self.inbox.take(event),
            }
        }
        any
    }
}
