//! Logging in, again where needed, and out.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::task::JoinHandle;

use super::{Connection, Inner};
use crate::tasks::TIDYING_LIMIT;
use crate::transport::{RequestBody, Transport};
use crate::wire::{Encoding, ErrorCode, ToValue};
use crate::{Error, Result, SecretString};

/// What calls are made with. A new login makes a new one.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) reference: SecretString,
    pub(crate) base: http::Uri,
    pub(crate) encoding: Encoding,
}

impl Session {
    /// Whether a refusal names this session, and not none (after a logout) or one of another pool.
    pub(super) fn is(&self, reference: &str) -> bool {
        !reference.is_empty() && self.reference.expose() == reference
    }

    /// Whether calls made with either are the same to the server.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.reference.expose() == other.reference.expose() && self.base == other.base
    }
}

/// How the session came to be.
pub(super) enum Credentials {
    Password { user: String, password: SecretString },
    Local { user: String, password: SecretString },
    Session(SecretString),
}

impl Credentials {
    pub(super) fn session(&self) -> SecretString {
        match self {
            Self::Session(reference) => reference.clone(),
            Self::Password { .. } | Self::Local { .. } => SecretString::new(""),
        }
    }
}

/// How long the logout of a dropped client may take.
const GOODBYE_LIMIT: Duration = Duration::from_secs(30);

/// How often a login follows a member to the coordinator that it names.
const MOST_HOPS: usize = 4;

/// What is known of the logins of a connection; held while one is under way.
#[derive(Default)]
pub(super) struct Logins {
    failures: u64,
    last_failure: Option<Error>,
}

impl Connection {
    /// Replaces `stale` by a new session; where another call did so meanwhile, takes that one, and where another call
    /// failed to, its error. A call that repeats a login has `seen` so many failures: it shares what came since.
    ///
    /// It runs to its end also where nobody waits for it any more, so that no session is made that nobody ends.
    pub(super) async fn login(&self, stale: &Arc<Session>, seen: Option<u64>) -> Result<()> {
        let seen = seen.unwrap_or_else(|| self.failed_logins());
        match self.clone().begin_login(stale.clone(), seen).await {
            Ok(result) => result,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(Error::unanswered(
                    "session.login_with_password",
                    "the runtime shut down",
                )),
            },
        }
    }

    /// How many logins have failed up to now.
    pub(super) fn failed_logins(&self) -> u64 {
        self.inner.failed_logins.load(Ordering::Acquire)
    }

    fn begin_login(self, stale: Arc<Session>, seen: u64) -> JoinHandle<Result<()>> {
        tokio::spawn(self.log_in(stale, seen))
    }

    async fn log_in(self, stale: Arc<Session>, seen: u64) -> Result<()> {
        self.limited("session.login", self.log_in_once(&stale, seen)).await
    }

    async fn log_in_once(&self, stale: &Arc<Session>, seen: u64) -> Result<()> {
        let mut logins = self.inner.logins.lock().await;
        if self.is_closed() || !self.current_session().is_same(stale) {
            return Ok(());
        }
        if logins.failures != seen
            && let Some(error) = logins.last_failure.as_ref().and_then(repeated)
        {
            return Err(error);
        }
        match self.authenticate(stale).await {
            Ok(session) => {
                logins.last_failure = None;
                self.replace(session);
                self.forget_methods();
                self.refresh_members();
                Ok(())
            }
            Err(error) => {
                logins.last_failure = repeated(&error);
                logins.failures += 1;
                self.inner.failed_logins.store(logins.failures, Ordering::Release);
                Err(error)
            }
        }
    }

    /// A session made with the connection's credentials, at the coordinator unless they are for one host only.
    async fn authenticate(&self, stale: &Session) -> Result<Session> {
        let (method, user, password) = match &self.inner.credentials {
            Credentials::Password { user, password } => ("session.login_with_password", user, password),
            Credentials::Local { user, password } => ("session.slave_local_login_with_password", user, password),
            Credentials::Session(reference) => {
                return Ok(Session {
                    reference: reference.clone(),
                    base: stale.base.clone(),
                    encoding: stale.encoding,
                });
            }
        };
        let mut params = vec![user.to_value(), password.expose().to_value()];
        if self.is_of_the_pool() {
            params.extend(["1.0".to_value(), self.inner.originator.to_value()]);
        }
        let mut base = stale.base.clone();
        let mut encoding = stale.encoding;
        for _ in 0..MOST_HOPS {
            let sent = self.exchange(&base, encoding, method, &params).await?;
            encoding = sent.encoding;
            let fingerprint = sent.coordinator_fingerprint();
            match sent.reply(method, vec![password.clone()])?.decode::<String>().await {
                Ok(reference) => {
                    return Ok(Session {
                        reference: SecretString::new(reference),
                        base,
                        encoding,
                    });
                }
                Err(Error::Api(error)) if *error.code() == ErrorCode::HostIsSlave && self.is_of_the_pool() => {
                    let named = error.params().first().map_or("", String::as_str);
                    base = at_host(&base, named).map_err(|error| sent_astray(&base, &error.to_string()))?;
                    self.vouch(&base, fingerprint);
                }
                Err(error) => return Err(error),
            }
        }
        Err(sent_astray(
            &stale.base,
            "the pool sends the login from one host to the next",
        ))
    }

    /// Goes on at another host of the pool with the session that there is: the coordinator moved.
    pub(super) fn move_to(&self, stale: &Session, base: http::Uri) {
        if self.current_session().is_same(stale) {
            self.replace(Session {
                reference: stale.reference.clone(),
                base,
                encoding: stale.encoding,
            });
        }
    }

    /// Goes on in the encoding that the server turned out to know.
    pub(super) fn settle(&self, session: &Session, encoding: Encoding) {
        if encoding != session.encoding && self.current_session().is_same(session) {
            self.replace(Session {
                reference: session.reference.clone(),
                base: session.base.clone(),
                encoding,
            });
        }
    }

    pub(crate) fn can_log_in_again(&self) -> bool {
        !matches!(self.inner.credentials, Credentials::Session(_)) && !self.is_closed()
    }

    fn is_closed(&self) -> bool {
        self.inner.closed.load(Ordering::Acquire)
    }

    /// Whether the session is one of the pool, and not of a single host.
    pub(super) fn is_of_the_pool(&self) -> bool {
        !matches!(self.inner.credentials, Credentials::Local { .. })
    }

    fn replace(&self, session: Session) {
        self.inner.session.send_replace(Arc::new(session));
    }

    /// Ends the session for all clones; a login that is under way is waited for, and up to ten seconds for tasks that
    /// are being cancelled because their calls were dropped. One that was handed in with
    /// [`Connect::session`](crate::Connect::session) is left alone.
    ///
    /// # Errors
    /// As any call; the session then ends by itself after a day without use.
    pub async fn logout(&self) -> Result<()> {
        // Where a server takes no notice, the tasks are its own.
        let _ = tokio::time::timeout(TIDYING_LIMIT, self.tidied()).await;
        self.limited("session.logout", self.log_out()).await
    }

    async fn log_out(&self) -> Result<()> {
        let logins = self.inner.logins.lock().await;
        let session = self.current_session();
        let Some(method) = self.inner.goodbye(&session) else {
            return Ok(());
        };
        self.inner.closed.store(true, Ordering::Release);
        self.replace(Session {
            reference: SecretString::new(""),
            base: session.base.clone(),
            encoding: session.encoding,
        });
        drop(logins);
        let params = [session.reference.expose().to_value()];
        let sent = self.exchange(&session.base, session.encoding, method, &params).await?;
        sent.reply(method, vec![session.reference.clone()])?
            .decode::<()>()
            .await
    }
}

/// The pool names no host that takes the login, as while it elects another coordinator: later it may.
fn sent_astray(base: &http::Uri, reason: &str) -> Error {
    Error::Connect {
        host: base.authority().map_or("", http::uri::Authority::as_str).into(),
        reason: reason.into(),
    }
}

/// The same refusal once more, for the calls that waited for the same login.
fn repeated(error: &Error) -> Option<Error> {
    match error {
        Error::Api(error) => Some(Error::Api(error.clone())),
        Error::Untrusted(error) => Some(Error::Untrusted(error.clone())),
        Error::Interrupted(lost) => Some(Error::unanswered(&lost.method, lost.reason.clone())),
        _ => None,
    }
}

impl Inner {
    /// The message that ends a session of ours.
    fn goodbye(&self, session: &Session) -> Option<&'static str> {
        match self.credentials {
            _ if session.reference.expose().is_empty() => None,
            Credentials::Password { .. } => Some("session.logout"),
            Credentials::Local { .. } => Some("session.local_logout"),
            Credentials::Session(_) => None,
        }
    }
}

/// What the clones in users' hands share: the session ends with the last of them, while work in the background that
/// holds only the rest goes on without it.
pub(super) struct Guard {
    pub(super) inner: Arc<Inner>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        let inner = &self.inner;
        inner.closed.store(true, Ordering::Release);
        let session = inner.session.borrow().clone();
        let (Some(method), Ok(runtime)) = (inner.goodbye(&session), tokio::runtime::Handle::try_current()) else {
            return;
        };
        let params = [session.reference.expose().to_value()];
        let request = super::post::request(&session.base, session.encoding, method, &params, 0, |request| {
            request.header(http::header::USER_AGENT, &inner.user_agent)
        });
        if let Ok(request) = request {
            runtime.spawn(say_goodbye(inner.transport.clone(), request));
        }
    }
}

async fn say_goodbye(transport: Arc<dyn Transport>, request: http::Request<RequestBody>) {
    let answer = tokio::time::timeout(GOODBYE_LIMIT, transport.send(request)).await;
    if let Ok(Err(error)) = answer {
        tracing::debug!(%error, "the session was not logged out");
    }
}

/// The same scheme and port at another host of the pool.
pub(crate) fn at_host(base: &http::Uri, address: &str) -> Result<http::Uri> {
    let is_bare_ipv6 = address.parse::<std::net::Ipv6Addr>().is_ok();
    let host = if is_bare_ipv6 {
        format!("[{address}]")
    } else {
        address.to_owned()
    };
    let named_port = host
        .parse::<http::uri::Authority>()
        .ok()
        .and_then(|authority| authority.port_u16());
    let authority = match (named_port, base.port_u16()) {
        (None, Some(port)) => format!("{host}:{port}"),
        _ => host,
    };
    http::Uri::builder()
        .scheme(base.scheme_str().unwrap_or("https"))
        .authority(authority)
        .path_and_query("/")
        .build()
        .map_err(|error| Error::config(format!("the pool named {address:?} as its coordinator: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_host_keeps_scheme_and_port() {
        let base: http::Uri = "https://10.0.0.2:8443/".parse().unwrap();
        assert_eq!(at_host(&base, "10.0.0.3").unwrap(), "https://10.0.0.3:8443/");
        assert_eq!(at_host(&base, "fe80::1").unwrap(), "https://[fe80::1]:8443/");
        assert_eq!(at_host(&base, "10.0.0.3:444").unwrap(), "https://10.0.0.3:444/");
        assert!(at_host(&base, "no host").is_err());
    }
}
