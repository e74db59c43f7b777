//! Describing a connection, and opening it.

use std::fmt;
use std::marker::PhantomData;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, RwLock};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::session::{Credentials, Session};
use super::{Connection, EncodingChoice, Inner, TraceParent};
use crate::tasks::TaskWatch;
use crate::transport::{Fingerprint, Transport, Trust};
use crate::wire::Encoding;
use crate::{Error, Result, SecretString};

/// A connection that is being described; one of its `login` methods opens it, as a `C`: a [`Connection`], or what typed
/// bindings make of one.
#[must_use = "nothing is connected before one of the `login` methods is awaited"]
pub struct Connect<C = Connection> {
    base: Result<http::Uri>,
    trust: Result<Trust>,
    transport: Option<Arc<dyn Transport>>,
    originator: String,
    encoding: EncodingChoice,
    timeout: Duration,
    most_reply_bytes: u64,
    cancels_dropped_tasks: bool,
    concurrency: usize,
    trace_parent: Option<TraceParent>,
    failover: bool,
    retries: u32,
    opened: PhantomData<fn() -> C>,
}

impl<C> fmt::Debug for Connect<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connect")
            .field("base", &self.base)
            .field("trust", &self.trust)
            .finish_non_exhaustive()
    }
}

impl<C: From<Connection>> Connect<C> {
    /// Starts to describe a connection to a host of a pool, for example `https://10.0.0.2`.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            base: base(&url.into()),
            trust: Ok(Trust::System),
            transport: None,
            originator: concat!("xenapi-rs/", env!("CARGO_PKG_VERSION")).to_owned(),
            encoding: EncodingChoice::Auto,
            timeout: Duration::from_secs(3600),
            most_reply_bytes: 1 << 30,
            cancels_dropped_tasks: false,
            concurrency: 32,
            trace_parent: None,
            failover: true,
            retries: 3,
            opened: PhantomData,
        }
    }

    /// Decides which certificates are accepted; without it, what the operating system trusts.
    pub fn trust(mut self, trust: Trust) -> Self {
        self.trust = Ok(trust);
        self
    }

    /// Accepts exactly the certificate with this SHA-256 fingerprint (64 hexadecimal digits, colons allowed). A text
    /// that is none is reported by the login.
    pub fn pin_sha256(mut self, fingerprint: &str) -> Self {
        self.trust = fingerprint
            .parse::<Fingerprint>()
            .map(Trust::Pin)
            .map_err(|error| Error::config(error.to_string()));
        self
    }

    /// Accepts certificates of these authorities, in PEM.
    pub fn trust_ca_pem(self, pem: impl Into<Vec<u8>>) -> Self {
        self.trust(Trust::CaPem(pem.into()))
    }

    /// Accepts what each host shows first, and remembers it in this file.
    pub fn trust_on_first_use(self, known_hosts: impl Into<PathBuf>) -> Self {
        self.trust(Trust::OnFirstUse(known_hosts.into()))
    }

    /// Accepts any certificate: whoever sits on the way can read the password and all that follows.
    pub fn danger_accept_any_certificate(self) -> Self {
        self.trust(Trust::DangerAcceptAny)
    }

    /// Sends requests through this in place of HTTP and TLS of our own.
    pub fn transport(mut self, transport: impl Transport) -> Self {
        self.transport = Some(Arc::new(transport));
        self
    }

    /// Names this program to the pool, for example `backup/1.2`: the server counts sessions and rates per originator
    /// and User-Agent, so a name of one's own keeps other programs' leaks away. Both carry it.
    pub fn originator(mut self, name: impl Into<String>) -> Self {
        self.originator = name.into();
        self
    }

    /// Uses this encoding only. Otherwise JSON-RPC is tried first, and XML-RPC where the server does not know it.
    pub fn encoding(mut self, encoding: Encoding) -> Self {
        self.encoding = EncodingChoice::Only(encoding);
        self
    }

    /// How long a call may take unless it says otherwise; one hour by default, after which the server itself cuts a
    /// synchronous call.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }

    /// The most bytes a reply may have; 1 GiB by default.
    pub fn most_reply_bytes(mut self, bytes: u64) -> Self {
        self.most_reply_bytes = bytes;
        self
    }

    /// Cancels the task of each call that is dropped before it has ended, as
    /// [`TaskCall::cancel_on_drop`](crate::TaskCall::cancel_on_drop) does for one. For programs that a person may give
    /// up; by default the tasks go on.
    pub fn cancel_dropped_tasks(mut self) -> Self {
        self.cancels_dropped_tasks = true;
        self
    }

    /// How many calls may be under way at once; 32 by default, at least 1. More of them wait here, where they cost the
    /// pool nothing. Waiting for events and transfers do not count.
    pub fn concurrency(mut self, calls: usize) -> Self {
        self.concurrency = calls.clamp(1, tokio::sync::Semaphore::MAX_PERMITS);
        self
    }

    /// Sends a W3C `traceparent` with each request, so that the server's spans continue this program's trace. Called
    /// for each request; with OpenTelemetry, hand out the current span's context here.
    pub fn trace_parent(mut self, parent: impl Fn() -> Option<String> + Send + Sync + 'static) -> Self {
        self.trace_parent = Some(Arc::new(parent));
        self
    }

    /// Whether to learn the pool's hosts after a login, and ask them for the coordinator when it is out of reach; so by
    /// default. An error of XenAPI never makes a call go elsewhere.
    pub fn failover(mut self, wanted: bool) -> Self {
        self.failover = wanted;
        self
    }

    /// How often a call is repeated whose connection failed, with growing pauses; three times by default. Only calls
    /// that change nothing are, and those of which nothing was sent.
    ///
    /// A login whose answer is lost may have made a session that nobody ends and that lives for a day. So a call for
    /// which the session is made anew repeats that login once at most, and calls that wait for the same login share
    /// its failure. The first login of all is not repeated.
    pub fn retries(mut self, most: u32) -> Self {
        self.retries = most;
        self
    }

    /// Logs in with a user name and password. A member of the pool names the coordinator, and the login goes there.
    ///
    /// # Errors
    /// [`Error::Untrusted`] with the fingerprint to pin, [`Error::Connect`], and
    /// [`SessionAuthenticationFailed`](crate::wire::ErrorCode::SessionAuthenticationFailed).
    pub async fn login(self, user: impl Into<String>, password: impl Into<SecretString>) -> Result<C> {
        let credentials = Credentials::Password {
            user: user.into(),
            password: password.into(),
        };
        self.open(credentials).await.map(C::from)
    }

    /// Logs in to this host alone, which works on any member and while the pool has no coordinator, but only for a few
    /// calls (emergency mode, `pool.emergency_transition_to_master` and the like).
    ///
    /// # Errors
    /// As for [`login`](Connect::login).
    pub async fn login_local(self, user: impl Into<String>, password: impl Into<SecretString>) -> Result<C> {
        let credentials = Credentials::Local {
            user: user.into(),
            password: password.into(),
        };
        self.open(credentials).await.map(C::from)
    }

    /// Uses a session that somebody else made. It is not logged out at the end, and cannot be made anew.
    ///
    /// # Errors
    /// [`Error::Config`] where the URL cannot be used. Whether the session is valid shows at the first call.
    pub async fn session(self, reference: impl Into<SecretString>) -> Result<C> {
        self.open(Credentials::Session(reference.into())).await.map(C::from)
    }

    async fn open(self, credentials: Credentials) -> Result<Connection> {
        let base = self.base?;
        let user_agent = self.originator.clone();
        let transport = match self.transport {
            Some(transport) => transport,
            None => {
                let trust = self.trust?;
                if base.scheme_str() == Some("http") && !matches!(trust, Trust::System) {
                    return Err(Error::config(
                        "plain http shows no certificate to trust or pin: use https",
                    ));
                }
                default_transport(&trust, base.host().unwrap_or_default(), &user_agent)?
            }
        };
        let encoding = match self.encoding {
            EncodingChoice::Auto => Encoding::Json,
            EncodingChoice::Only(encoding) => encoding,
        };
        let session = Arc::new(Session {
            reference: credentials.session(),
            base,
            encoding,
        });
        let connection = Connection::new(Inner {
            transport,
            credentials,
            originator: self.originator,
            user_agent,
            encoding: self.encoding,
            timeout: self.timeout,
            most_reply_bytes: self.most_reply_bytes,
            cancels_dropped_tasks: self.cancels_dropped_tasks,
            session: watch::Sender::new(session.clone()),
            logins: tokio::sync::Mutex::default(),
            failed_logins: 0.into(),
            next_id: 1.into(),
            closed: false.into(),
            tasks: TaskWatch::default(),
            tidying: watch::Sender::new(0),
            methods: RwLock::default(),
            turns: tokio::sync::Semaphore::new(self.concurrency),
            trace_parent: self.trace_parent,
            failover: self.failover,
            retries: self.retries,
            members: RwLock::default(),
            members_learned: Mutex::new(Instant::now()),
            failing_over: tokio::sync::Mutex::default(),
        });
        connection.login(&session, None).await?;
        Ok(connection)
    }
}

#[cfg(feature = "http")]
fn default_transport(trust: &Trust, host: &str, user_agent: &str) -> Result<Arc<dyn Transport>> {
    Ok(Arc::new(crate::transport::HttpTransport::new(trust, host, user_agent)?))
}

#[cfg(not(feature = "http"))]
fn default_transport(_: &Trust, _: &str, _: &str) -> Result<Arc<dyn Transport>> {
    Err(Error::config(
        "this build has no HTTP: switch the feature `http` on, or bring a transport",
    ))
}

/// Scheme and authority of a URL; a bare host means https.
fn base(url: &str) -> Result<http::Uri> {
    // What stands before an @ may hold a password.
    let shown = url.rsplit_once('@').map_or(url, |(_, host)| host);
    let refused = |why: &str| Error::config(format!("{shown:?} is no address of a host: {why}"));
    let spelled = if url.contains("://") {
        url.to_owned()
    } else {
        format!("https://{url}")
    };
    let uri: http::Uri = spelled.parse().map_err(|error| refused(&format!("{error}")))?;
    let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'));
    let authority =
        authority.ok_or_else(|| refused("expected https://host or https://host:port, without user name"))?;
    let scheme = uri.scheme_str().filter(|scheme| ["http", "https"].contains(scheme));
    let scheme = scheme.ok_or_else(|| refused("only https and http are spoken"))?;
    http::Uri::builder()
        .scheme(scheme)
        .authority(authority.as_str())
        .path_and_query("/")
        .build()
        .map_err(|error| refused(&error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_cut_down_to_its_host() {
        assert_eq!(base("10.0.0.2").unwrap(), "https://10.0.0.2/");
        assert_eq!(base("http://xcp1:8080/jsonrpc?x").unwrap(), "http://xcp1:8080/");
        assert_eq!(base("https://[fe80::1]").unwrap().host(), Some("[fe80::1]"));
    }

    #[test]
    fn a_password_in_the_url_is_refused_and_not_repeated_by_the_parser() {
        let error = base("https://root:hunter2@xcp1").unwrap_err();
        assert!(
            !format!(
                "{error} {error:?} {:?}",
                Connect::<Connection>::new("https://root:hunter2@xcp1")
            )
            .contains("hunter2")
        );
        assert!(base("ftp://xcp1").is_err());
        assert!(base("https://").is_err());
    }
}
