//! The connection to a pool.

mod connect;
mod execute;
mod failure;
mod members;
mod methods;
mod post;
mod reply;
mod session;

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, RwLock};
use std::time::{Duration, Instant};

use tokio::sync::watch;

pub use self::connect::Connect;
pub(crate) use self::failure::{failed, http_error};
pub(crate) use self::members::{Objects, text};
use self::methods::Methods;
use self::session::{Credentials, Guard, Logins};
pub(crate) use self::session::{Session, at_host};
use crate::tasks::{Seat, TaskWatch};
use crate::transport::Transport;
use crate::wire::{Encoding, Value};
use crate::{Call, SecretString};

/// What tells one login at one host from another: the session and the host's address. Tokens of events and counts of
/// changes mean something only to the one that they are from.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    session: String,
    base: http::Uri,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("host", &self.base.host())
            .finish_non_exhaustive()
    }
}

/// A logged-in connection to a pool, cheap to clone and shared by all handles.
///
/// The session ends when [`logout`](Connection::logout) is called or the last clone is dropped (best effort, from a
/// Tokio runtime). It is made anew, once for all calls that wait, when the server has forgotten it, and it follows the
/// pool's coordinator when a member says that it is not it.
#[derive(Clone)]
pub struct Connection {
    inner: Arc<Inner>,
    /// Ends the session with the last clone that has it.
    _guard: Option<Arc<Guard>>,
}

struct Inner {
    transport: Arc<dyn Transport>,
    credentials: Credentials,
    originator: String,
    user_agent: String,
    encoding: EncodingChoice,
    timeout: Duration,
    most_reply_bytes: u64,
    cancels_dropped_tasks: bool,
    session: watch::Sender<Arc<Session>>,
    logins: tokio::sync::Mutex<Logins>,
    /// How many logins have failed: a call that waited while one did takes its error.
    failed_logins: AtomicU64,
    next_id: AtomicU64,
    /// Whether the session was ended for good: nothing logs in again.
    closed: AtomicBool,
    tasks: TaskWatch,
    /// How many dropped calls are still being cancelled.
    tidying: watch::Sender<usize>,
    methods: RwLock<Methods>,
    /// How many calls may be under way.
    turns: tokio::sync::Semaphore,
    trace_parent: Option<TraceParent>,
    failover: bool,
    retries: u32,
    /// The hosts of the pool as they were when it was last asked.
    members: RwLock<Vec<http::Uri>>,
    /// When it was last asked for them.
    members_learned: Mutex<Instant>,
    failing_over: tokio::sync::Mutex<()>,
}

/// Tells which trace the request that is being made belongs to.
type TraceParent = Arc<dyn Fn() -> Option<String> + Send + Sync>;

/// Which encoding calls use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum EncodingChoice {
    /// JSON-RPC, and XML-RPC for good where the server does not know it.
    #[default]
    Auto,
    Only(Encoding),
}

impl Connection {
    /// Starts to describe a connection to a host of a pool, for example `https://10.0.0.2`.
    ///
    /// ```no_run
    /// # async fn connect() -> xenapi_connection::Result<()> {
    /// use xenapi_connection::Connection;
    ///
    /// let connection = Connection::connect("https://10.0.0.2")
    ///     .pin_sha256("3f:9a:…")
    ///     .login("root", "password")
    ///     .await?;
    /// # Ok(()) }
    /// ```
    pub fn connect(url: impl Into<String>) -> Connect {
        Connect::new(url)
    }

    /// Calls any message by its wire name. The session is added.
    ///
    /// Answers with the value as it came, see [`Value`] for how the encodings differ; [`Call::new`] reads the answer as
    /// a type.
    ///
    /// ```no_run
    /// # async fn call(connection: xenapi_connection::Connection) -> xenapi_connection::Result<()> {
    /// use xenapi_connection::wire::{ToValue, Value};
    ///
    /// let raw: Value = connection.call("VM.get_by_name_label", ["web".to_value()]).await?;
    /// # Ok(()) }
    /// ```
    pub fn call(&self, method: impl Into<String>, params: impl IntoIterator<Item = Value>) -> Call<Value> {
        params.into_iter().fold(Call::new(self, method.into()), Call::arg)
    }

    /// The address of the host that is talked to now: the coordinator, unless the login was local to a member.
    pub fn address(&self) -> String {
        self.current_session().base.host().unwrap_or_default().to_owned()
    }

    /// The encoding that was settled on.
    pub fn encoding(&self) -> Encoding {
        self.current_session().encoding
    }

    /// The session's reference, to hand it to another program. It is as good as the password while it lives.
    pub fn session_reference(&self) -> SecretString {
        self.current_session().reference.clone()
    }

    fn new(inner: Inner) -> Self {
        let inner = Arc::new(inner);
        let guard = Some(Arc::new(Guard { inner: inner.clone() }));
        Self { inner, _guard: guard }
    }

    /// A clone for work in the background, which does not keep the session open.
    pub fn unguarded(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            _guard: None,
        }
    }

    /// Which login at which host calls are made with now.
    pub fn identity(&self) -> Identity {
        let session = self.current_session();
        Identity {
            session: session.reference.expose().to_owned(),
            base: session.base.clone(),
        }
    }

    pub(crate) fn transport(&self) -> &Arc<dyn Transport> {
        &self.inner.transport
    }

    /// Names the trace that a request belongs to, where there is one.
    pub(crate) fn trace(&self, request: http::request::Builder) -> http::request::Builder {
        let parent = self.inner.trace_parent.as_ref().and_then(|parent| parent());
        match parent.and_then(|parent| http::HeaderValue::try_from(parent).ok()) {
            Some(parent) => request.header("traceparent", parent),
            None => request,
        }
    }

    /// Something is done for a call that was dropped, for as long as this is held: [`logout`](Self::logout) waits for it.
    pub(crate) fn tidying(&self) -> Tidying {
        self.inner.tidying.send_modify(|count| *count += 1);
        Tidying(self.clone())
    }

    /// Waits until nothing is done any more for calls that were dropped.
    async fn tidied(&self) {
        let mut tidying = self.inner.tidying.subscribe();
        // What begins with the end of another has begun by then.
        const BETWEEN: Duration = Duration::from_millis(10);
        loop {
            // The sender is in this connection.
            let _ = tidying.wait_for(|count| *count == 0).await;
            tokio::time::sleep(BETWEEN).await;
            if *tidying.borrow() == 0 {
                return;
            }
        }
    }

    pub(crate) fn cancels_dropped_tasks(&self) -> bool {
        self.inner.cancels_dropped_tasks
    }

    pub(crate) fn user_agent(&self) -> &str {
        &self.inner.user_agent
    }

    pub(crate) fn current_session(&self) -> Arc<Session> {
        self.inner.session.borrow().clone()
    }

    /// The records of the pool's tasks, for those who wait for one.
    pub(crate) fn task_watch(&self) -> Seat {
        self.inner.tasks.seat(self)
    }

    /// Hears of new logins and moves to other hosts.
    pub(crate) fn session_changes(&self) -> watch::Receiver<Arc<Session>> {
        self.inner.session.subscribe()
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("address", &self.address())
            .finish_non_exhaustive()
    }
}

/// Something that is done for a call that was dropped.
pub(crate) struct Tidying(Connection);

impl Drop for Tidying {
    fn drop(&mut self) {
        self.0.inner.tidying.send_modify(|count| *count -= 1);
    }
}
