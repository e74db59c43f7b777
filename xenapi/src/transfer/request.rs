//! Reaching a handler on the right host.

use bytes::Bytes;
use futures_util::TryStreamExt;

use crate::client::{at_host, failed, http_error};
use crate::transport::BodyStream;
use crate::{Client, Error, Fingerprint, Ref, Result, Task};

/// A handler that some host of the pool answers: its path and its query without session and task.
pub(super) struct Handler {
    pub(super) path: &'static str,
    pub(super) query: Vec<(&'static str, String)>,
}

/// How often a transfer is sent on to another host.
const MOST_REDIRECTS: usize = 4;

impl Handler {
    /// Sends a GET and follows redirects. The session travels in a cookie, so that no address holds it.
    pub(super) async fn get(&self, client: &Client, task: Ref<Task>) -> Result<http::Response<BodyStream>> {
        let mut base = client.current_session().base.clone();
        for _ in 0..MOST_REDIRECTS {
            let request = self.request(client, &base, task)?;
            let response = client
                .transport()
                .send(request)
                .await
                .map_err(|error| failed(self.path, &base, error))?;
            if response.status().is_success() {
                return Ok(response);
            }
            if response.status().is_redirection() {
                base = redirected(self.path, client, &base, response.headers()).await?;
                continue;
            }
            let status = response.status().as_u16();
            return Err(http_error(self.path, status, &beginning(response.into_body()).await));
        }
        Err(Error::config(format!(
            "the pool sends {} from one host to the next",
            self.path
        )))
    }

    fn request(&self, client: &Client, base: &http::Uri, task: Ref<Task>) -> Result<http::Request<Bytes>> {
        let unsendable = |error: http::Error| Error::Unsendable {
            method: self.path.into(),
            reason: error.to_string().into(),
        };
        let mut path = format!("{}?task_id={}", self.path, percent(&task.to_wire()));
        for (name, value) in &self.query {
            path.push_str(&format!("&{name}={}", percent(value)));
        }
        let authority = base.authority().map(http::uri::Authority::as_str).unwrap_or_default();
        let uri = http::Uri::builder()
            .scheme(base.scheme_str().unwrap_or("https"))
            .authority(authority)
            .path_and_query(path);
        let cookie = format!("session_id={}", percent(client.current_session().reference.expose()));
        let mut cookie = http::HeaderValue::try_from(cookie).map_err(|error| unsendable(error.into()))?;
        cookie.set_sensitive(true);
        http::Request::get(uri.build().map_err(unsendable)?)
            .header(http::header::COOKIE, cookie)
            .header(http::header::USER_AGENT, client.user_agent())
            .body(Bytes::new())
            .map_err(unsendable)
    }
}

/// The host that a redirect names.
async fn redirected(path: &str, client: &Client, base: &http::Uri, headers: &http::HeaderMap) -> Result<http::Uri> {
    let location = headers
        .get(http::header::LOCATION)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let target: Option<http::Uri> = location.parse().ok();
    let host = target
        .as_ref()
        .and_then(http::Uri::authority)
        .map(http::uri::Authority::as_str);
    let host = host.ok_or_else(|| http_error(path, 302, format!("to {location:?}").as_bytes()))?;
    let next = at_host(base, host)?;
    vouch(client, &next, host).await;
    Ok(next)
}

/// Has the coordinator, which is trusted, say which certificate a member shows. Where it cannot, the connection to the
/// member says what is wrong.
async fn vouch(client: &Client, next: &http::Uri, authority: &str) {
    let Ok(hosts) = client.hosts().all_records().await else {
        return;
    };
    let is_named = |address: &str| address == authority || format!("[{address}]") == authority;
    let Some((&host, _)) = hosts.iter().find(|(_, host)| is_named(&host.address)) else {
        return;
    };
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
        page.extend_from_slice(&piece);
        if page.len() > 1 << 12 {
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
