//! Connections over TLS to a server whose certificate is known.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use xenapi::transport::{BodyStream, RequestBody, Transport, TransportError};

/// Connects to the server of a URL that has the certificate with this fingerprint.
pub(crate) async fn connect(url: &str, pin: &str) -> std::io::Result<TlsStream<TcpStream>> {
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Pinned(pin.to_owned())))
        .with_no_client_auth();
    let stream = TcpStream::connect(url.split_once("://").unwrap().1).await?;
    TlsConnector::from(Arc::new(config))
        .connect(ServerName::try_from("localhost").unwrap(), stream)
        .await
}

/// Trusts one certificate, by its fingerprint.
#[derive(Debug)]
struct Pinned(String);

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let digest = ring::digest::digest(&ring::digest::SHA256, certificate);
        let hex: Vec<_> = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        if hex.join(":") == self.0 {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(Error::General("pin".to_owned()))
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &default_provider().signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &default_provider().signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        default_provider().signature_verification_algorithms.supported_schemes()
    }
}

/// A transport to hosts whose certificate has one fingerprint, with a connection for each request.
#[derive(Clone, Debug)]
pub(crate) struct PinnedTransport(pub(crate) String);

impl PinnedTransport {
    async fn carry(&self, request: http::Request<RequestBody>) -> Result<http::Response<BodyStream>, TransportError> {
        let (head, body) = request.into_parts();
        let authority = head.uri.authority().map(ToString::to_string).unwrap_or_default();
        let address = if head.uri.port().is_some() {
            authority.clone()
        } else {
            format!("{authority}:443")
        };
        let unreachable = |error: std::io::Error| TransportError::Unreachable(error.to_string());
        let mut stream = connect(&format!("https://{address}"), &self.0)
            .await
            .map_err(unreachable)?;
        let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
        let mut text = format!(
            "{} {target} HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\n",
            head.method
        );
        for (name, value) in head
            .headers
            .iter()
            .filter(|(name, _)| !["host", "connection"].contains(&name.as_str()))
        {
            text.push_str(&format!("{name}: {}\r\n", value.to_str().unwrap()));
        }
        text.push_str("\r\n");
        let RequestBody::Whole(body) = body else {
            panic!("only whole bodies")
        };
        let broken = |error: std::io::Error| TransportError::Broken(error.to_string());
        let mut reply = Vec::new();
        let exchange = async {
            stream.write_all(&[text.as_bytes(), &body].concat()).await?;
            // A server that closes without a word of TLS has said all that it had to say.
            match stream.read_to_end(&mut reply).await {
                Err(error) if error.kind() != std::io::ErrorKind::UnexpectedEof => Err(error),
                _ => Ok(()),
            }
        };
        exchange.await.map_err(broken)?;
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut parsed = httparse::Response::new(&mut headers);
        let Ok(httparse::Status::Complete(length)) = parsed.parse(&reply) else {
            return Err(TransportError::Broken("the reply is no HTTP".to_owned()));
        };
        let mut response = http::Response::builder().status(parsed.code.unwrap_or_default());
        for header in parsed.headers.iter() {
            response = response.header(header.name, header.value);
        }
        let body = Bytes::copy_from_slice(&reply[length..]);
        Ok(response.body(stream::iter([Ok(body)]).boxed()).unwrap())
    }
}

impl Transport for PinnedTransport {
    fn send(
        &self,
        request: http::Request<RequestBody>,
    ) -> BoxFuture<'_, Result<http::Response<BodyStream>, TransportError>> {
        self.carry(request).boxed()
    }
}
