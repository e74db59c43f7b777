//! Logging in, again where needed, and out.

use std::sync::Arc;
use std::time::Duration;

use super::{Client, EncodingChoice, Inner};
use crate::wire::Encoding;
use crate::{Error, ErrorCode, Fingerprint, Result, SecretString, ToValue};

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

/// With the request header, a member adds the coordinator's certificate to its refusal: what carries a pin over.
const ASK_THUMBPRINT: &str = "x-xenapi-request-host-certificate-thumbprint";
const THUMBPRINT: &str = "x-xenapi-response-host-certificate-thumbprint";

impl Client {
    /// Replaces `stale` by a new session; where another call did so meanwhile, takes that one.
    pub(super) async fn login(&self, stale: &Arc<Session>) -> Result<()> {
        let _one_at_a_time = self.inner.login.lock().await;
        if !Arc::ptr_eq(&self.current_session(), stale) {
            return Ok(());
        }
        let (method, user, password) = match &self.inner.credentials {
            Credentials::Password { user, password } => ("session.login_with_password", user, password),
            Credentials::Local { user, password } => ("session.slave_local_login_with_password", user, password),
            Credentials::Session(_) => return Ok(()),
        };
        let mut params = vec![user.to_value(), password.expose().to_value()];
        if matches!(self.inner.credentials, Credentials::Password { .. }) {
            params.extend(["1.0".to_value(), self.inner.originator.to_value()]);
        }
        let mut base = stale.base.clone();
        let mut encoding = stale.encoding;
        for _ in 0..MOST_HOPS {
            let mut sent = self
                .post(
                    &base,
                    encoding,
                    method,
                    &params,
                    Some((ASK_THUMBPRINT, "sha-256:master")),
                )
                .await?;
            if encoding == Encoding::Json && self.inner.encoding == EncodingChoice::Auto && !sent.is_json() {
                encoding = Encoding::Xml;
                sent = self
                    .post(
                        &base,
                        encoding,
                        method,
                        &params,
                        Some((ASK_THUMBPRINT, "sha-256:master")),
                    )
                    .await?;
            }
            let thumbprint = sent.header(THUMBPRINT);
            match sent.reply(method)?.hiding(password).decode::<String>().await {
                Ok(reference) => {
                    self.replace(Session {
                        reference: SecretString::new(reference),
                        base,
                        encoding,
                    });
                    return Ok(());
                }
                Err(Error::Api(error)) if *error.code() == ErrorCode::HostIsSlave => {
                    let address = error.params().first().map(String::as_str).unwrap_or_default();
                    base = at_host(&base, address)?;
                    if let Some(fingerprint) = thumbprint.and_then(|text| text.parse::<Fingerprint>().ok()) {
                        self.transport().vouch(base.host().unwrap_or_default(), fingerprint);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Err(Error::config(format!(
            "{} and its pool send the login from one host to the next",
            stale.base
        )))
    }

    /// Goes on at another host of the pool with the session that there is: the coordinator moved.
    pub(super) fn move_to(&self, stale: &Arc<Session>, address: &str) -> Result<()> {
        let moved = Session {
            reference: stale.reference.clone(),
            base: at_host(&stale.base, address)?,
            encoding: stale.encoding,
        };
        if Arc::ptr_eq(&self.current_session(), stale) {
            self.replace(moved);
        }
        Ok(())
    }

    pub(super) fn can_login_again(&self) -> bool {
        !matches!(self.inner.credentials, Credentials::Session(_))
    }

    fn replace(&self, session: Session) {
        *self.inner.session.write().unwrap_or_else(|poison| poison.into_inner()) = Arc::new(session);
    }

    /// Ends the session for all clones. One that was handed in with [`Connect::session`](crate::Connect::session) is
    /// left alone.
    ///
    /// # Errors
    /// As any call; the session then ends by itself after a day without use.
    pub async fn logout(&self) -> Result<()> {
        let session = self.current_session();
        let Some(method) = self.inner.goodbye(&session) else {
            return Ok(());
        };
        self.replace(Session {
            reference: SecretString::new(""),
            base: session.base.clone(),
            encoding: session.encoding,
        });
        let params = [session.reference.expose().to_value()];
        let sent = self
            .post(&session.base, session.encoding, method, &params, None)
            .await?;
        sent.reply(method)?.decode::<()>().await
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

impl Drop for Inner {
    fn drop(&mut self) {
        let session = self
            .session
            .get_mut()
            .unwrap_or_else(|poison| poison.into_inner())
            .clone();
        let (Some(method), Ok(runtime)) = (self.goodbye(&session), tokio::runtime::Handle::try_current()) else {
            return;
        };
        let params = [session.reference.expose().to_value()];
        let request = super::execute::request(&session.base, session.encoding, method, &params, 0, &self.user_agent);
        if let Ok(request) = request {
            let transport = self.transport.clone();
            runtime.spawn(async move {
                let answer = tokio::time::timeout(GOODBYE_LIMIT, transport.send(request)).await;
                if let Ok(Err(error)) = answer {
                    tracing::debug!(%error, "the session was not logged out");
                }
            });
        }
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
