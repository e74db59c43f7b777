//! The two encodings of calls.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use xenapi::Value;
use xenapi::wire::{MAX_REQUEST_BYTES, json, xml};

use super::message::{Reply, Request};
use super::pages;
use crate::dispatch::{self, Origin};
use crate::error::{ApiError, Result};
use crate::faults::Effect;
use crate::state::Shared;

const JSON: &str = "application/json";
/// What the request asks to be told about the coordinator's certificate.
const ASKED: &str = "x-xenapi-request-host-certificate-thumbprint";
/// The answer to that.
const TOLD: &str = "x-xenapi-response-host-certificate-thumbprint";

/// Answers a call in JSON.
pub(super) async fn json(shared: &Arc<Shared>, origin: &Origin, request: &Request) -> Reply {
    if let Some(refusal) = unreadable(request) {
        return refusal;
    }
    let parsed = match json::parse_request(&request.body) {
        Ok(parsed) => parsed,
        Err(error) => return pages::internal_error(&format!("Rpc.Jsonrpc.Malformed_method_request({error:?})")),
    };
    let (version, id) = (parsed.version, parsed.id);
    reply(
        shared,
        origin,
        request,
        &parsed.method,
        parsed.params,
        JSON,
        |outcome| match outcome {
            Ok(value) => json::success(version, &id, value),
            Err(error) => json::failure(version, &id, &error.code, &error.params),
        },
    )
    .await
}

/// Answers a call in XML.
pub(super) async fn xml(shared: &Arc<Shared>, origin: &Origin, request: &Request) -> Reply {
    if let Some(refusal) = unreadable(request) {
        return refusal;
    }
    let parsed = match xml::parse_request(&request.body) {
        Ok(parsed) => parsed,
        Err(_) => return pages::internal_error("Xmlm.Error(1:6, \"unexpected end of input\")"),
    };
    let method = parsed.method;
    reply(
        shared,
        origin,
        request,
        &method,
        parsed.params,
        "text/xml",
        |outcome| match outcome {
            Ok(value) if method == "system.listMethods" => xml::bare(value),
            Ok(value) if method == "event.from" => tag_counts(xml::success(value)),
            Ok(value) => xml::success(value),
            Err(error) => xml::failure(&error.code, &error.params),
        },
    )
    .await
}

fn unreadable(request: &Request) -> Option<Reply> {
    let reason = request
        .unreadable
        .or((request.body.len() > MAX_REQUEST_BYTES).then_some("Http.Too_large"))?;
    Some(pages::internal_error(reason))
}

/// The counts in a batch of events are the only integers that xapi tags in XML.
fn tag_counts(reply: Vec<u8>) -> Vec<u8> {
    const START: &str = "<name>valid_ref_counts</name><value><struct>";
    let text = String::from_utf8_lossy(&reply);
    let Some((before, rest)) = text.rsplit_once(START) else {
        return reply;
    };
    let Some((counts, after)) = rest.split_once("</struct>") else {
        return reply;
    };
    let counts = counts
        .replace("<value>", "<value><i4>")
        .replace("</value>", "</i4></value>");
    format!("{before}{START}{counts}</struct>{after}").into_bytes()
}

/// An error from in front of the dispatcher looks like no other: an array, under no number.
fn early_failure(error: &ApiError) -> Vec<u8> {
    let words: Vec<_> = error.description().iter().map(|word| format!("{word:?}")).collect();
    format!(r#"{{"jsonrpc":"2.0","error":[{}],"id":0}}"#, words.join(",")).into_bytes()
}

async fn reply(
    shared: &Arc<Shared>,
    origin: &Origin,
    request: &Request,
    method: &str,
    params: Vec<Value>,
    content_type: &str,
    encode: impl FnOnce(&Result<Value>) -> Vec<u8>,
) -> Reply {
    let (delay, strike) = shared.with(|state| {
        *state.counters.calls.entry(method.to_owned()).or_default() += 1;
        let object = params.get(1).and_then(Value::as_str);
        (state.config.delay, state.strike(method, object))
    });
    let (effect, exact) = strike.map_or((None, false), |(effect, exact)| (Some(effect), exact));
    let pending = Pending::new(shared);
    tokio::time::sleep(
        delay
            + if let Some(Effect::Delay(delay)) = effect {
                delay
            } else {
                Duration::ZERO
            },
    )
    .await;
    match &effect {
        Some(Effect::Unauthorized) => return pages::unauthorised("post_root"),
        Some(Effect::Stall(_)) => std::future::pending().await,
        Some(Effect::ServerError) => return pages::internal_error("Stack_overflow"),
        Some(Effect::InvalidateSession) => {
            if let Some(session) = params.first().and_then(Value::as_str) {
                shared.with(|state| state.close_session(session));
            }
        }
        _ => {}
    }
    let resets = effect == Some(Effect::Reset);
    let unavailable = shared.with(|state| state.unavailable(origin.host, method));
    let early = unavailable.as_ref().filter(|_| content_type == JSON).map(early_failure);
    let outcome = match (unavailable, &effect) {
        (Some(error), _) => Err(error),
        (None, Some(Effect::HostIsSlave(address))) => Err(ApiError::new("HOST_IS_SLAVE", [address])),
        // Said of the very form that was called, an error comes at once and not from the task.
        (None, Some(Effect::Error(code, params))) if exact => Err(ApiError::owned(code, params)),
        (None, _) => dispatch::call(shared, origin, method, params, effect).await,
    };
    drop(pending);
    let body = early.unwrap_or_else(|| encode(&outcome));
    let mut reply = Reply::full(200, Bytes::from(body))
        .with("connection", if request.keeps_alive() { "keep-alive" } else { "close" })
        .with("cache-control", "no-cache, no-store")
        .with("content-type", content_type)
        .with("Access-Control-Allow-Origin", "*")
        .with("Access-Control-Allow-Headers", "X-Requested-With");
    let asks = request
        .header(ASKED)
        .is_some_and(|text| text.eq_ignore_ascii_case("sha-256:master"));
    if asks && outcome.is_err_and(|error| error.code == "HOST_IS_SLAVE") {
        let certificate = shared.certificates.get(shared.with(|state| state.coordinator));
        reply = reply.with(TOLD, certificate.map_or("", |certificate| certificate.fingerprint()));
    }
    reply.reset = resets || shared.with(|state| state.check_reachable(origin.host).is_err());
    reply
}

/// Counts a call as long as it is being answered.
struct Pending<'a>(&'a Shared);

impl<'a> Pending<'a> {
    fn new(shared: &'a Shared) -> Self {
        shared.with(|state| {
            let counters = &mut state.counters;
            counters.pending += 1;
            counters.most_pending = counters.most_pending.max(counters.pending);
        });
        Self(shared)
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        self.0
            .with(|state| state.counters.pending = state.counters.pending.saturating_sub(1));
    }
}
