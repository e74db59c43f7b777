//! How requests of XenAPI reach a host: connections, and which certificates they accept.
//!
//! [`Transport`] is the seam between the bindings and the network: `HttpTransport`, the default, speaks HTTP over TLS,
//! the simulated pool of `xenapi-sim` answers in the same process, and a program can bring its own (a Unix socket, a
//! tunnel). The crate `xenapi` shows this one as `xenapi::transport`.
//!
//! ```
//! use futures_core::future::BoxFuture;
//! use xenapi_transport::{BodyStream, RequestBody, Transport, TransportError};
//!
//! /// Knows no host.
//! #[derive(Debug)]
//! struct Unplugged;
//!
//! impl Transport for Unplugged {
//!     fn send(
//!         &self,
//!         _request: http::Request<RequestBody>,
//!     ) -> BoxFuture<'_, Result<http::Response<BodyStream>, TransportError>> {
//!         Box::pin(async { Err(TransportError::Unreachable("the cable is out".to_owned())) })
//!     }
//! }
//! ```
//!
//! Without the feature `http` there are the seam and the words for trust, and neither `reqwest` nor `rustls`.

mod body;
#[cfg(feature = "http")]
mod connection;
mod duplex;
#[cfg(feature = "http")]
mod endpoint;
mod error;
mod fingerprint;
#[cfg(feature = "http")]
mod http_client;
#[cfg(feature = "http")]
mod known_hosts;
#[cfg(feature = "http")]
mod public_key;
#[cfg(feature = "http")]
mod rule;
#[cfg(feature = "http")]
mod socket;
#[cfg(feature = "http")]
mod tls;
mod trust;
#[cfg(feature = "http")]
mod tunnel;

use std::fmt;

use futures_core::future::BoxFuture;

pub use self::body::{BodyStream, RequestBody, UploadStream};
pub use self::duplex::Duplex;
pub use self::error::{ConfigError, TransportError, UntrustedCertificate};
pub use self::fingerprint::{Fingerprint, FingerprintError};
#[cfg(feature = "http")]
pub use self::http_client::HttpTransport;
pub use self::trust::Trust;

/// Sends HTTP requests to the hosts of a pool.
pub trait Transport: fmt::Debug + Send + Sync + 'static {
    /// Sends one request, whose URI is absolute, and answers as soon as the response's head is there, which can
    /// be before an upload is through. Redirects are the caller's to follow.
    ///
    /// # Errors
    /// [`TransportError`] says whether the request can have reached the server.
    fn send(
        &self,
        request: http::Request<RequestBody>,
    ) -> BoxFuture<'_, Result<http::Response<BodyStream>, TransportError>>;

    /// Sends a request, whose method is `CONNECT` and whose URI is absolute, and keeps the connection: after a response
    /// of success its body is a stream in both directions, after any other it is that response's page. Nothing that
    /// comes right behind the head is lost, and dropping the stream closes the connection.
    ///
    /// A transport that does not say how opens none: consoles need it, nothing else does.
    ///
    /// # Errors
    /// As [`send`](Transport::send).
    fn connect(
        &self,
        request: http::Request<()>,
    ) -> BoxFuture<'_, Result<http::Response<Box<dyn Duplex>>, TransportError>> {
        drop(request);
        Box::pin(async {
            let reason = "this transport opens no streams in both directions, which consoles need";
            Err(TransportError::Unreachable(reason.to_owned()))
        })
    }

    /// From now on also accepts this certificate from this host, at any port: a pool member that is already trusted
    /// vouched for it. How the host is spelled makes no difference. Transports without certificates ignore it.
    fn vouch(&self, host: &str, fingerprint: Fingerprint) {
        let _ = (host, fingerprint);
    }
}

impl<T: Transport + ?Sized> Transport for std::sync::Arc<T> {
    fn send(
        &self,
        request: http::Request<RequestBody>,
    ) -> BoxFuture<'_, Result<http::Response<BodyStream>, TransportError>> {
        (**self).send(request)
    }

    fn connect(
        &self,
        request: http::Request<()>,
    ) -> BoxFuture<'_, Result<http::Response<Box<dyn Duplex>>, TransportError>> {
        (**self).connect(request)
    }

    fn vouch(&self, host: &str, fingerprint: Fingerprint) {
        (**self).vouch(host, fingerprint);
    }
}
