//! A transport that answers some requests itself.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};
use xenapi::transport::{BodyStream, RequestBody, Transport, TransportError};
use xenapi_sim::{SimTransport, Simulator};

/// What a request is answered with in place of the simulator's answer: status, header, body.
pub(crate) type Answer = (u16, (&'static str, String), Vec<u8>);

type Rule = dyn Fn(&http::Request<RequestBody>) -> Option<Answer> + Send + Sync;

pub(crate) struct Detour {
    pool: SimTransport,
    rule: Box<Rule>,
}

impl Detour {
    pub(crate) fn new(
        simulator: &Simulator,
        rule: impl Fn(&http::Request<RequestBody>) -> Option<Answer> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            pool: simulator.transport(),
            rule: Box::new(rule),
        })
    }
}

impl std::fmt::Debug for Detour {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Detour")
    }
}

impl Transport for Detour {
    fn send(
        &self,
        request: http::Request<RequestBody>,
    ) -> BoxFuture<'_, Result<http::Response<BodyStream>, TransportError>> {
        match (self.rule)(&request) {
            None => self.pool.send(request),
            Some((status, (name, value), body)) => {
                let body = stream::iter([Ok(body.into())]).boxed();
                let response = http::Response::builder().status(status).header(name, value).body(body);
                async move { Ok(response.expect("a response")) }.boxed()
            }
        }
    }
}
