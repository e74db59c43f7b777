//! The changes of a pool without gaps, from a server that leaves some out.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::{Either, select};
use tokio::sync::watch;

use super::{Health, Selection};
use crate::connection::Session;
use crate::wire::enums::event::EventOperation;
use crate::wire::{Class, ErrorCode, Event, EventBatch, Value};
use crate::{Call, Connection, Error, Identity, Result};

/// How long the server holds a request open when there is nothing to tell.
const POLL: Duration = Duration::from_secs(30);
/// For requests that list what there is: they have an answer at once, or the list is empty.
const LISTING: Duration = Duration::from_secs(1);
/// What may come on top of the time that the server was given; for lists, which can have tens of MB, more.
const GRACE: Duration = Duration::from_secs(60);
const LISTING_GRACE: Duration = Duration::from_secs(900);
/// The pauses after failures.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// One step of the way from what was told to what is.
#[derive(Clone, Debug, PartialEq)]
pub enum Delta {
    /// A full list begins.
    Init,
    /// An object is there and has this record: it is new, or has changed.
    Apply {
        /// The object's class.
        class: Class,
        /// Its reference.
        reference: Box<str>,
        /// Its record, as it came.
        snapshot: Value,
    },
    /// An object is gone.
    Delete {
        /// The object's class.
        class: Class,
        /// Its reference.
        reference: Box<str>,
    },
    /// The list is complete: what was told is what the pool has.
    InitDone,
}

/// Asks for changes again and again, and sees to it that none is missed: the server forgets deletions, sessions end,
/// coordinators change, databases are restored.
///
/// ```no_run
/// # async fn follow(connection: xenapi_connection::Connection) -> xenapi_connection::Result<()> {
/// use xenapi_connection::wire::Class;
/// use xenapi_connection::{Feed, Selection};
///
/// let mut vms = Selection::default();
/// vms.add(&Class::Vm);
/// let mut feed = Feed::new(connection.unguarded(), vms);
/// loop {
///     for delta in feed.next().await? {
///         println!("{delta:?}");
///     }
/// }
/// # }
/// ```
pub struct Feed {
    connection: Connection,
    selection: Selection,
    poll: Duration,
    token: String,
    /// The session and the host that the token is from.
    origin: Identity,
    /// What has been told and not deleted since, by class as events write it.
    told: HashMap<String, HashSet<Box<str>>>,
    /// By how many objects of a class the server's count differed from its own list when it was last mended. Only
    /// another difference is worth another list.
    unexplained: HashMap<String, i64>,
    /// The server's last counts.
    counts: HashMap<String, i64>,
    /// What is yet to be told: an attempt that fails or is given up halfway leaves it for the next.
    pending: Vec<Delta>,
    failures: u32,
    moves: watch::Receiver<Arc<Session>>,
    health: watch::Sender<Health>,
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed")
            .field("selection", &self.selection)
            .field("health", &*self.health.borrow())
            .finish_non_exhaustive()
    }
}

impl Feed {
    /// Begins with a full list. A connection that [does not keep the session open](Connection::unguarded) lets work in
    /// the background end with the session.
    pub fn new(connection: Connection, selection: Selection) -> Self {
        Self {
            origin: connection.identity(),
            moves: connection.session_changes(),
            connection,
            selection,
            poll: POLL,
            token: String::new(),
            told: HashMap::new(),
            unexplained: HashMap::new(),
            counts: HashMap::new(),
            pending: Vec::new(),
            failures: 0,
            health: watch::Sender::default(),
        }
    }

    /// How long the server holds a request open with nothing to tell; 30 seconds by default.
    pub fn poll_limit(mut self, limit: Duration) -> Self {
        self.poll = limit;
        self
    }

    /// How the feed fares; who takes in the changes notes its own lag here.
    pub fn health(&self) -> &watch::Sender<Health> {
        &self.health
    }

    /// The token up to which everything has been told.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The session and the host that the token is from.
    pub fn origin(&self) -> &Identity {
        &self.origin
    }

    /// The next changes: none where the server had none to tell for a while. Failures that may pass are waited out.
    ///
    /// Dropping the future loses nothing: what was not answered is asked for, or told, the next time.
    ///
    /// # Errors
    /// What will not pass by itself: a refused login, a role that may not listen, a certificate that is not trusted.
    pub async fn next(&mut self) -> Result<Vec<Delta>> {
        loop {
            let mut moves = self.moves.clone();
            let asked = match select(pin!(self.ask_for_more()), pin!(moves.changed())).await {
                Either::Left((asked, _)) => Some(asked),
                Either::Right(_) => None,
            };
            let Some(asked) = asked else {
                tracing::debug!("another session or host: everything is listed anew");
                self.moves.mark_unchanged();
                self.token.clear();
                continue;
            };
            match asked {
                Ok(()) => {
                    self.failures = 0;
                    if self.connection.identity() == self.origin {
                        self.moves.mark_unchanged();
                    }
                    self.health.send_modify(|health| {
                        health.is_live = true;
                        health.last_success = Some(Instant::now());
                    });
                    return Ok(std::mem::take(&mut self.pending));
                }
                Err(error) => self.endure(error).await?,
            }
        }
    }

    async fn ask_for_more(&mut self) -> Result<()> {
        if self.token.is_empty() {
            self.list().await
        } else {
            self.follow().await
        }
    }

    /// Waits a while after a failure that may pass, and gives the others back.
    async fn endure(&mut self, error: Error) -> Result<()> {
        self.health.send_modify(|health| {
            health.is_live = false;
            health.last_error = Some(error.to_string().into());
        });
        match error.code() {
            Some(
                ErrorCode::SessionAuthenticationFailed
                | ErrorCode::RbacPermissionDenied
                | ErrorCode::EventSubscriptionParseFailure
                | ErrorCode::MessageMethodUnknown,
            ) => return Err(error),
            Some(ErrorCode::SessionInvalid) if !self.connection.can_log_in_again() => return Err(error),
            Some(ErrorCode::EventFromTokenParseFailure | ErrorCode::EventsLost) => self.token.clear(),
            _ if matches!(error, Error::Untrusted(_) | Error::Config(_)) => return Err(error),
            _ => {}
        }
        tracing::debug!(%error, "no news from the pool");
        let pause = FIRST_PAUSE * 2u32.saturating_pow(self.failures.min(10));
        self.failures += 1;
        tokio::time::sleep(pause.min(LONGEST_PAUSE)).await;
        Ok(())
    }

    async fn ask(&self, classes: Vec<String>, token: &str, limit: Duration) -> Result<EventBatch> {
        let grace = if token.is_empty() { LISTING_GRACE } else { GRACE };
        Call::new(&self.connection, "event.from")
            .arg(classes)
            .arg(token)
            .arg(limit.as_secs_f64())
            .timeout(limit + grace)
            .await
    }

    /// Everything there is, and the end of what was told and is not there any more.
    async fn list(&mut self) -> Result<()> {
        let origin = self.connection.identity();
        let batch = self.ask(self.selection.subscriptions(), "", LISTING).await?;
        // Where the session became another one meanwhile, the next answer has another origin, and all is listed again.
        self.origin = origin;
        self.unexplained.clear();
        self.counts = batch
            .valid_ref_counts
            .iter()
            .map(|(class, count)| (class.clone(), *count))
            .collect();
        let before = std::mem::take(&mut self.told);
        if !before.is_empty() {
            self.health.send_modify(|health| health.restarts += 1);
        }
        self.pending.push(Delta::Init);
        for event in batch.events {
            self.tell(event);
        }
        for (class, references) in before {
            let told = self.told.get(&class);
            let gone = references
                .into_iter()
                .filter(|reference| !told.is_some_and(|told| told.contains(reference)));
            let name = Class::from_event_name(&class);
            self.pending.extend(gone.map(|reference| Delta::Delete {
                class: name.clone(),
                reference,
            }));
        }
        self.pending.push(Delta::InitDone);
        self.token = batch.token;
        Ok(())
    }

    /// What has changed since the token.
    async fn follow(&mut self) -> Result<()> {
        let batch = self.ask(self.selection.subscriptions(), &self.token, self.poll).await?;
        if self.connection.identity() != self.origin || generation(&batch.token) < generation(&self.token) {
            tracing::debug!("another session, host or database: everything is listed anew");
            self.token.clear();
            return self.list().await;
        }
        for event in batch.events {
            self.tell(event);
        }
        self.token = batch.token;
        for (class, count) in &batch.valid_ref_counts {
            let before = self.counts.insert(class.clone(), *count);
            let has_lost = before.is_some_and(|before| *count < before);
            if self.is_miscounted(class, *count) {
                self.mend(class, vec![class.clone()]).await?;
            } else if has_lost && !self.selection.is_whole(class) {
                let watched = self.selection.objects_of(class);
                if !watched.is_empty() {
                    self.mend(class, watched).await?;
                }
            }
        }
        Ok(())
    }

    fn is_miscounted(&self, class: &str, count: i64) -> bool {
        let difference = self.difference(class, count);
        self.selection.is_whole(class) && difference != 0 && self.unexplained.get(class) != Some(&difference)
    }

    /// How many more objects the server counts than were told.
    fn difference(&self, class: &str, count: i64) -> i64 {
        count - self.told.get(class).map_or(0, HashSet::len) as i64
    }

    /// Lists a class, or the watched objects of it, anew: the server has forgotten deletions before it could tell them.
    async fn mend(&mut self, class: &str, subscriptions: Vec<String>) -> Result<()> {
        let batch = self.ask(subscriptions, "", LISTING).await?;
        if self.connection.identity() != self.origin {
            self.token.clear();
            return Ok(());
        }
        let count = batch.valid_ref_counts.get(class).copied();
        let told = self.told.entry(class.to_owned()).or_default();
        let there: HashSet<Box<str>> = batch
            .events
            .iter()
            .map(|event| event.reference.as_str().into())
            .collect();
        let gone: Vec<_> = told
            .iter()
            .filter(|reference| !there.contains(*reference))
            .cloned()
            .collect();
        let name = Class::from_event_name(class);
        let mut mended = gone.len();
        for reference in gone {
            told.remove(&reference);
            self.pending.push(Delta::Delete {
                class: name.clone(),
                reference,
            });
        }
        for event in batch.events {
            if !self.knows(class, &event.reference) {
                mended += 1;
                self.tell(event);
            }
        }
        if let Some(count) = count {
            match self.difference(class, count) {
                0 => drop(self.unexplained.remove(class)),
                difference => {
                    tracing::debug!(class, difference, "the server counts otherwise than it lists");
                    self.unexplained.insert(class.to_owned(), difference);
                }
            }
        }
        self.health.send_modify(|health| health.mended += mended as u64);
        Ok(())
    }

    fn knows(&self, class: &str, reference: &str) -> bool {
        self.told.get(class).is_some_and(|told| told.contains(reference))
    }

    /// Notes what an event means for what was told. A deletion can be of an object that was never told of.
    fn tell(&mut self, event: Event) {
        let class = Class::from_event_name(&event.class);
        let reference: Box<str> = event.reference.into();
        // No list of messages is ever complete, so they are not kept count of.
        let counted = class != Class::Message;
        if event.operation == EventOperation::Del {
            let told = self.told.get_mut(&event.class);
            let is_known = told.is_some_and(|told| told.remove(&reference));
            if is_known || !counted {
                self.pending.push(Delta::Delete { class, reference });
            }
        } else if let Some(snapshot) = event.snapshot {
            if counted {
                self.told.entry(event.class).or_default().insert(reference.clone());
            }
            self.pending.push(Delta::Apply {
                class,
                reference,
                snapshot,
            });
        }
    }
}

/// The database's count of changes in a token, which is `generation,time`; the numbers are padded, so that text and
/// number have one order.
pub fn generation(token: &str) -> u64 {
    let digits = token.split(',').next().unwrap_or_default();
    digits.parse().unwrap_or_default()
}
