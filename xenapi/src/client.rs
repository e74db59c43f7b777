//! The connection to a pool, typed.

use std::fmt;

use crate::wire::Encoding;
use crate::{Call, Connection, Result, SecretString, Value};

/// A logged-in connection to a pool, cheap to clone and shared by all handles.
///
/// The session ends when [`logout`](Client::logout) is called or the last clone is dropped (best effort, from a
/// Tokio runtime). It is made anew, once for all calls that wait, when the server has forgotten it, and it follows the
/// pool's coordinator when a member says that it is not it.
#[derive(Clone)]
pub struct Client {
    connection: Connection,
}

/// A connection that is being described; one of its `login` methods opens it. See [`Client::connect`].
pub type Connect = xenapi_connection::Connect<Client>;

impl Client {
    /// Starts to describe a connection to a host of a pool, for example `https://10.0.0.2`.
    ///
    /// ```no_run
    /// # async fn connect() -> xenapi::Result<()> {
    /// use xenapi::Client;
    ///
    /// let pool = Client::connect("https://10.0.0.2")
    ///     .pin_sha256("3f:9a:…")
    ///     .login("root", "password")
    ///     .await?;
    /// # Ok(()) }
    /// ```
    pub fn connect(url: impl Into<String>) -> Connect {
        Connect::new(url)
    }

    /// Calls any message by its wire name, also one that this crate does not know. The session is added.
    ///
    /// Answers with the value as it came; see [`Value`] for how the encodings differ.
    ///
    /// ```no_run
    /// # async fn call(pool: xenapi::Client) -> xenapi::Result<()> {
    /// use xenapi::{ToValue, Value};
    ///
    /// let raw: Value = pool.call("VM.get_by_name_label", ["web".to_value()]).await?;
    /// # Ok(()) }
    /// ```
    pub fn call(&self, method: impl Into<String>, params: impl IntoIterator<Item = Value>) -> Call<Value> {
        self.connection.call(method, params)
    }

    /// The address of the host that is talked to now: the coordinator, unless the login was local to a member.
    pub fn address(&self) -> String {
        self.connection.address()
    }

    /// The encoding that was settled on.
    pub fn encoding(&self) -> Encoding {
        self.connection.encoding()
    }

    /// The session's reference, to hand it to another program. It is as good as the password while it lives.
    pub fn session_reference(&self) -> SecretString {
        self.connection.session_reference()
    }

    /// Whether the server knows a message, for example `VM.snapshot`. The first time it is asked for its list; what it
    /// refused as unknown since then counts too.
    ///
    /// # Errors
    /// As any call, the first time.
    pub async fn supports(&self, method: &str) -> Result<bool> {
        self.connection.supports(method).await
    }

    /// Ends the session for all clones; a login that is under way is waited for. One that was handed in with
    /// [`Connect::session`](crate::Connect::session) is left alone.
    ///
    /// # Errors
    /// As any call; the session then ends by itself after a day without use.
    pub async fn logout(&self) -> Result<()> {
        self.connection.logout().await
    }

    /// What all this goes through, without the classes: for messages and handlers that this crate does not know.
    pub const fn connection(&self) -> &Connection {
        &self.connection
    }
}

impl From<Connection> for Client {
    fn from(connection: Connection) -> Self {
        Self { connection }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("address", &self.address())
            .finish_non_exhaustive()
    }
}
