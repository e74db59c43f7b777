//! Reaching a handler on the right host.

use std::borrow::Cow;
use std::net::IpAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt;

use super::Download;
use super::source::Source;
use super::task::TransferTask;
use super::upload::{OnSent, Parcel, Stop};
use crate::client::{at_host, failed, http_error, timed_out, unanswered};
use crate::transport::{BodyStream, RequestBody};
use crate::{Client, Error, Fingerprint, Host, HostRecord, Map, Ref, Result, Task, TaskRecord};

/// How long a handler may be silent.
pub(super) const SILENCE: Duration = Duration::from_secs(300);

/// How often a transfer is sent on to another host.
const MOST_REDIRECTS: usize = 4;

/// How much of an error page is looked at.
const MOST_OF_A_PAGE: usize = 1 << 12;

/// A handler that some host of the pool answers: its path and its query without session and task.
#[derive(Debug)]
pub(crate) struct Handler {
    path: &'static str,
    query: Vec<(Cow<'static, str>, String)>,
    host: Option<Ref<Host>>,
    silence: Duration,
}

impl Handler {
    pub(crate) fn new(path: &'static str) -> Self {
        Self {
            path,
            query: Vec::new(),
            host: None,
            silence: SILENCE,
        }
    }

    pub(super) fn path(&self) -> &'static str {
        self.path
    }

    pub(super) fn silence(mut self, limit: Duration) -> Self {
        self.silence = limit;
        self
    }

    pub(crate) fn query(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<String>) -> Self {
        self.query.push((name.into(), value.into()));
        self
    }

    /// Asks this host and no other: the handler speaks of the host that it runs on.
    pub(crate) fn at(mut self, host: Ref<Host>) -> Self {
        self.host = Some(host);
        self
    }

    /// Begins a download in a task of its own; `subject` is the task's description.
    pub(super) async fn download(&self, client: &Client, subject: String) -> Result<Download> {
        let task = TransferTask::create(client, self.path, subject).await?;
        match self.get(client, Some(task.reference)).await {
            Ok(response) => Ok(Download::new(response, task.begun(), self.silence)),
            Err(error) => Err(task.refusal(error).await),
        }
    }

    /// A small answer as a whole, without a task; of at most `most` bytes.
    pub(crate) async fn fetch(&self, client: &Client, most: usize) -> Result<Bytes> {
        let response = self.get(client, None).await?;
        let mut body = response.into_body();
        let mut whole = BytesMut::new();
        let base = &client.current_session().base;
        loop {
            let piece = tokio::time::timeout(self.silence, body.try_next())
                .await
                .map_err(|_| timed_out(self.path, self.silence))?
                .map_err(|error| failed(self.path, base, error))?;
            let Some(piece) = piece else {
                return Ok(whole.freeze());
            };
            if whole.len() + piece.len() > most {
                return Err(unanswered(
                    self.path,
                    format!("the answer is longer than the limit of {most} bytes"),
                ));
            }
            whole.extend_from_slice(&piece);
        }
    }

    /// Sends a GET and follows redirects.
    async fn get(&self, client: &Client, task: Option<Ref<Task>>) -> Result<http::Response<BodyStream>> {
        let mut base = self.first_host(client).await?;
        for _ in 0..MOST_REDIRECTS {
            let request = self.request(client, &base, task, RequestBody::Whole(Bytes::new()), None)?;
            let response = tokio::time::timeout(self.silence, client.transport().send(request))
                .await
                .map_err(|_| in_task(timed_out(self.path, self.silence), task))?
                .map_err(|error| in_task(failed(self.path, &base, error), task))?;
            if response.status().is_success() {
                return Ok(response);
            }
            if response.status().is_redirection() {
                base = self.redirected(client, &base, response.headers()).await?;
                continue;
            }
            return Err(self.refused(client, response).await);
        }
        Err(self.is_sent_around())
    }

    /// Uploads in a task of its own, and answers with how it ended.
    pub(super) async fn upload(
        &self,
        client: &Client,
        subject: String,
        source: Source,
        on_sent: Option<OnSent>,
    ) -> Result<TaskRecord> {
        let task = TransferTask::create(client, self.path, subject).await?;
        let mut parcel = Parcel::new(source, on_sent);
        let response = match self.put(client, task.reference, &mut parcel).await {
            Ok(response) => response,
            Err(error) if parcel.is_opened() => {
                if let Some(reason) = parcel.failure() {
                    return Err(task.begun().broken_off(reason).await);
                }
                // The handler has seen some of it, and may know better what was wrong.
                let told = task.begun().verdict(Some(error.to_string()), self.silence).await;
                return Err(match told {
                    Err(told @ Error::Api(_)) => told,
                    _ => error,
                });
            }
            Err(error) => return Err(task.refusal(error).await),
        };
        let task = task.begun();
        let cut = match parcel.delivered(response, &task, self.silence).await {
            Ok(cut) => cut,
            Err(Stop::Cut(reason)) => Some(reason),
            Err(Stop::Silent) => return Err(timed_out(self.path, self.silence).in_task(task.reference)),
        };
        match parcel.failure() {
            Some(reason) => Err(task.broken_off(reason).await),
            None => task.delivery(cut, self.silence).await,
        }
    }

    /// Sends a PUT and follows redirects, which come before the body is looked at.
    async fn put(&self, client: &Client, task: Ref<Task>, parcel: &mut Parcel) -> Result<http::Response<BodyStream>> {
        let mut base = self.first_host(client).await?;
        for _ in 0..MOST_REDIRECTS {
            let request = self.request(client, &base, Some(task), parcel.body(), Some(parcel.length))?;
            let response = match parcel.attend(client.transport().send(request), self.silence).await {
                Ok(response) => response.map_err(|error| failed(self.path, &base, error).in_task(task))?,
                Err(Stop::Silent) => return Err(timed_out(self.path, self.silence).in_task(task)),
                Err(Stop::Cut(reason)) => return Err(unanswered(self.path, reason).in_task(task)),
            };
            if response.status().is_success() {
                return Ok(response);
            }
            if response.status().is_redirection() && !parcel.is_opened() {
                base = self.redirected(client, &base, response.headers()).await?;
                continue;
            }
            return Err(self.refused(client, response).await);
        }
        Err(self.is_sent_around())
    }

    /// Where to ask first: the coordinator, unless the handler speaks of one host.
    pub(crate) async fn first_host(&self, client: &Client) -> Result<http::Uri> {
        let base = client.current_session().base.clone();
        let Some(host) = self.host else {
            return Ok(base);
        };
        let address = client.host(host).address().await?;
        let next = at_host(&base, &address)?;
        if next != base {
            vouch(client, &next, host).await;
        }
        Ok(next)
    }

    /// The session travels in a cookie, so that no address holds it.
    pub(crate) fn request(
        &self,
        client: &Client,
        base: &http::Uri,
        task: Option<Ref<Task>>,
        body: RequestBody,
        length: Option<u64>,
    ) -> Result<http::Request<RequestBody>> {
        let unsendable = |error: http::Error| Error::Unsendable {
            method: self.path.into(),
            reason: error.to_string().into(),
        };
        let task = task.map(|task| (Cow::Borrowed("task_id"), task.to_wire()));
        let query = task.iter().chain(&self.query);
        let query: Vec<_> = query
            .map(|(name, value)| format!("{name}={}", percent(value)))
            .collect();
        let authority = base.authority().map(http::uri::Authority::as_str).unwrap_or_default();
        let uri = http::Uri::builder()
            .scheme(base.scheme_str().unwrap_or("https"))
            .authority(authority)
            .path_and_query(format!("{}?{}", self.path, query.join("&")));
        let cookie = format!("session_id={}", percent(client.current_session().reference.expose()));
        let mut cookie = http::HeaderValue::try_from(cookie).map_err(|error| unsendable(error.into()))?;
        cookie.set_sensitive(true);
        let mut request = client
            .trace(http::Request::builder())
            .method(if length.is_some() {
                http::Method::PUT
            } else {
                http::Method::GET
            })
            .uri(uri.build().map_err(unsendable)?)
            .header(http::header::COOKIE, cookie)
            .header(http::header::USER_AGENT, client.user_agent());
        if let Some(length) = length {
            request = request.header(http::header::CONTENT_LENGTH, length);
        }
        request.body(body).map_err(unsendable)
    }

    fn is_sent_around(&self) -> Error {
        Error::config(format!("the pool sends {} from one host to the next", self.path))
    }

    async fn refused(&self, client: &Client, response: http::Response<BodyStream>) -> Error {
        let status = response.status().as_u16();
        let page = tokio::time::timeout(self.silence, beginning(response.into_body())).await;
        let session = client.current_session();
        http_error(self.path, status, &page.unwrap_or_default(), &[&session.reference])
    }

    /// The host that a redirect names, which must be one of the pool: the session goes there.
    async fn redirected(&self, client: &Client, base: &http::Uri, headers: &http::HeaderMap) -> Result<http::Uri> {
        let location = headers
            .get(http::header::LOCATION)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let astray = |why: &str| Error::config(format!("{} was sent on to {location:?}, {why}", self.path));
        let target: http::Uri = location.parse().map_err(|_| astray("which is no address"))?;
        let authority = target.authority().ok_or_else(|| astray("which names no host"))?;
        let next = match target.scheme_str() {
            Some("https") if base.scheme_str() != Some("https") => http::Uri::builder()
                .scheme("https")
                .authority(authority.as_str())
                .path_and_query("/")
                .build()
                .map_err(|error| astray(&error.to_string()))?,
            _ => at_host(base, authority.as_str())?,
        };
        if next == *base {
            return Ok(next);
        }
        let hosts = client.hosts().all_records().await?;
        let host = member(&hosts, authority).ok_or_else(|| astray("which is no host of this pool"))?;
        vouch(client, &next, host).await;
        Ok(next)
    }
}

fn in_task(error: Error, task: Option<Ref<Task>>) -> Error {
    match task {
        Some(task) => error.in_task(task),
        None => error,
    }
}

/// The host with this address, which a record and a URL can spell in different ways.
fn member(hosts: &Map<Ref<Host>, HostRecord>, authority: &http::uri::Authority) -> Option<Ref<Host>> {
    let (whole, host) = (spelled(authority.as_str()), spelled(authority.host()));
    let is_named = |address: &str| [&whole, &host].contains(&&spelled(address));
    hosts
        .iter()
        .find(|(_, record)| is_named(&record.address))
        .map(|(&host, _)| host)
}

fn spelled(address: &str) -> String {
    let bare = address.trim_start_matches('[').trim_end_matches(']');
    bare.parse::<IpAddr>()
        .map_or_else(|_| bare.to_ascii_lowercase(), |address| address.to_string())
}

/// Has the coordinator, which is trusted, say which certificate a member shows. Where it cannot, the connection to the
/// member says what is wrong.
async fn vouch(client: &Client, next: &http::Uri, host: Ref<Host>) {
    if let Ok(pem) = client.host(host).server_certificate().now().await
        && let Some(fingerprint) = Fingerprint::of_pem(&pem)
    {
        client.transport().vouch(next.host().unwrap_or_default(), fingerprint);
    }
}

/// Enough of an error page to explain it.
async fn beginning(mut body: BodyStream) -> Vec<u8> {
    let mut page = Vec::new();
    while let Ok(Some(piece)) = body.try_next().await {
        page.extend_from_slice(&piece[..piece.len().min(MOST_OF_A_PAGE)]);
        if page.len() > MOST_OF_A_PAGE {
            break;
        }
    }
    page
}

/// Percent-encodes all but the unreserved characters of RFC 3986.
fn percent(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(byte.into()),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}
