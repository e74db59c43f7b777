//! The transport over HTTP and TLS.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_core::future::BoxFuture;
use futures_util::TryStreamExt;

use super::tls::{Verifier, configure};
use super::{BodyStream, Fingerprint, RequestBody, Transport, TransportError, Trust};
use crate::Error;

/// How long a connection may take to open.
const CONNECT_LIMIT: Duration = Duration::from_secs(20);

pub(crate) struct HttpTransport {
    client: reqwest::Client,
    verifier: Arc<Verifier>,
}

impl HttpTransport {
    /// `host` is the one that a pin in `trust` is for.
    pub(crate) fn new(trust: &Trust, host: &str, user_agent: &str) -> Result<Self, Error> {
        let (verifier, config) = configure(trust, host)?;
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(config)
            .http1_only()
            .user_agent(user_agent)
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_LIMIT)
            .tcp_keepalive(Duration::from_secs(60))
            .no_proxy()
            .build()
            .map_err(|error| Error::config(format!("the HTTP client cannot be set up: {error}")))?;
        Ok(Self { client, verifier })
    }

    fn explain(&self, host: &str, error: reqwest::Error) -> TransportError {
        let connecting = error.is_connect();
        if let Some(refused) = self.verifier.refused(host).filter(|_| connecting) {
            return TransportError::Untrusted(Box::new(refused));
        }
        let reason = causes(&error.without_url());
        if connecting {
            TransportError::Unreachable(reason)
        } else {
            TransportError::Broken(reason)
        }
    }
}

/// The last cause says what happened; those before it only where.
fn causes(error: &dyn std::error::Error) -> String {
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
            let host = request.uri().host().unwrap_or_default().to_owned();
            let request = request.map(|body| match body {
                RequestBody::Whole(bytes) => reqwest::Body::from(bytes),
                RequestBody::Stream(pieces) => reqwest::Body::wrap_stream(pieces),
            });
            let request = reqwest::Request::try_from(request)
                .map_err(|error| TransportError::Unreachable(causes(&error.without_url())))?;
            let response = self
                .client
                .execute(request)
                .await
                .map_err(|error| self.explain(&host, error))?;
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

    fn vouch(&self, host: &str, fingerprint: Fingerprint) {
        self.verifier.vouch(host, fingerprint);
    }
}

impl fmt::Debug for HttpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpTransport").finish_non_exhaustive()
    }
}
