//! The transport over HTTP and TLS.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_core::future::BoxFuture;
use futures_util::TryStreamExt;

use super::connection;
use super::tls::{Certificates, refusal};
use super::{BodyStream, Duplex, Fingerprint, RequestBody, Transport, TransportError, Trust, tunnel};
use crate::ConfigError;

/// How long a connection may take to open.
pub(super) const CONNECT_LIMIT: Duration = Duration::from_secs(20);

/// Sends requests over HTTP/1 and TLS, and knows which certificates to accept.
pub struct HttpTransport {
    certificates: Arc<Certificates>,
    user_agent: String,
    /// One per port, because certificates are remembered per port. Nearly always there is one.
    clients: Mutex<BTreeMap<u16, PerPort>>,
}

#[derive(Clone)]
struct PerPort {
    client: reqwest::Client,
    tls: Arc<rustls::ClientConfig>,
}

impl HttpTransport {
    /// A transport that connects to nothing yet; `host` is the one that a pin in `trust` is for.
    ///
    /// # Errors
    /// Where `trust` cannot be used: a CA file that holds no certificate, a file of known hosts that cannot be read.
    pub fn new(trust: &Trust, host: &str, user_agent: &str) -> Result<Self, ConfigError> {
        let transport = Self {
            certificates: Arc::new(Certificates::new(trust, host)?),
            user_agent: user_agent.to_owned(),
            clients: Mutex::default(),
        };
        // What is wrong with the settings shows here, before anything is sent.
        transport.client(443)?;
        Ok(transport)
    }

    fn client(&self, port: u16) -> Result<PerPort, ConfigError> {
        let mut clients = self.clients.lock().unwrap_or_else(|poison| poison.into_inner());
        if let Some(client) = clients.get(&port) {
            return Ok(client.clone());
        }
        let tls = self.certificates.configure(port)?;
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls.clone())
            .http1_only()
            .user_agent(&self.user_agent)
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_LIMIT)
            .tcp_keepalive(Duration::from_secs(60))
            .no_proxy()
            .build()
            .map_err(|error| ConfigError(format!("the HTTP client cannot be set up: {error}")))?;
        let tls = Arc::new(tls);
        let client = PerPort { client, tls };
        clients.insert(port, client.clone());
        Ok(client)
    }
}

fn port(uri: &http::Uri) -> u16 {
    let usual = if uri.scheme_str() == Some("http") { 80 } else { 443 };
    uri.port_u16().unwrap_or(usual)
}

fn explain(error: reqwest::Error) -> TransportError {
    if let Some(refused) = refusal(&error) {
        return TransportError::Untrusted(Box::new(refused.clone()));
    }
    let connecting = error.is_connect();
    let reason = causes(&error.without_url());
    if connecting {
        TransportError::Unreachable(reason)
    } else {
        TransportError::Broken(reason)
    }
}

/// The last cause says what happened; those before it only where.
pub(super) fn causes(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

impl Transport for HttpTransport {
    fn send(
        &self,
        request: http::Request<RequestBody>,
    ) -> BoxFuture<'_, Result<http::Response<BodyStream>, TransportError>> {
        Box::pin(async move {
            let port = port(request.uri());
            let PerPort { client, tls } = self
                .client(port)
                .map_err(|error| TransportError::Unreachable(error.to_string()))?;
            if request.method() == http::Method::GET {
                let tls = (request.uri().scheme_str() != Some("http")).then_some(tls);
                return connection::get(&request.into_parts().0, port, tls, CONNECT_LIMIT).await;
            }
            let request = request.map(|body| match body {
                RequestBody::Whole(bytes) => reqwest::Body::from(bytes),
                RequestBody::Stream(pieces) => reqwest::Body::wrap_stream(pieces),
            });
            let request = reqwest::Request::try_from(request)
                .map_err(|error| TransportError::Unreachable(causes(&error.without_url())))?;
            let response = client.execute(request).await.map_err(explain)?;
            let (status, headers) = (response.status(), response.headers().clone());
            let body = response
                .bytes_stream()
                .map_err(|error| TransportError::Broken(causes(&error.without_url())));
            let mut answer = http::Response::new(Box::pin(body) as BodyStream);
            *answer.status_mut() = status;
            *answer.headers_mut() = headers;
            Ok(answer)
        })
    }

    fn connect(
        &self,
        request: http::Request<()>,
    ) -> BoxFuture<'_, Result<http::Response<Box<dyn Duplex>>, TransportError>> {
        Box::pin(async move {
            let port = port(request.uri());
            let tls = self.certificates.configure(port);
            let tls = tls.map_err(|error| TransportError::Unreachable(error.to_string()))?;
            tunnel::open(request, port, tls).await
        })
    }

    fn vouch(&self, host: &str, fingerprint: Fingerprint) {
        self.certificates.vouch(host, fingerprint);
    }
}

impl fmt::Debug for HttpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpTransport").finish_non_exhaustive()
    }
}
