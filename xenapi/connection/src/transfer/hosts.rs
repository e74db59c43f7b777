//! The hosts that answer for handlers.

use std::net::IpAddr;

use super::Handler;
use crate::connection::{Objects, at_host, text};
use crate::{Call, Connection, Error, Result};

impl Handler {
    /// Where to ask first: the coordinator, unless the handler speaks of one host.
    pub(super) async fn first_host(&self, connection: &Connection) -> Result<http::Uri> {
        let base = connection.current_session().base.clone();
        let Some(host) = &self.host else {
            return Ok(base);
        };
        let address: String = Call::new(connection, "host.get_address").arg(host).await?;
        let next = at_host(&base, &address)?;
        if next != base {
            vouch(connection, &next, host).await;
        }
        Ok(next)
    }

    /// The host that a redirect names, which must be one of the pool: the session goes there.
    pub(super) async fn redirected(
        &self,
        connection: &Connection,
        base: &http::Uri,
        headers: &http::HeaderMap,
    ) -> Result<http::Uri> {
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
        let hosts: Objects = Call::new(connection, "host.get_all_records").await?;
        let host = member(&hosts, authority).ok_or_else(|| astray("which is no host of this pool"))?;
        vouch(connection, &next, host).await;
        Ok(next)
    }
}

/// The host with this address, which a record and a URL can spell in different ways.
fn member<'a>(hosts: &'a Objects, authority: &http::uri::Authority) -> Option<&'a str> {
    let (whole, host) = (spelled(authority.as_str()), spelled(authority.host()));
    let is_named = |address: &str| [&whole, &host].contains(&&spelled(address));
    hosts
        .iter()
        .find(|(_, record)| is_named(text(record, "address")))
        .map(|(host, _)| host.as_str())
}

fn spelled(address: &str) -> String {
    let bare = address.trim_start_matches('[').trim_end_matches(']');
    bare.parse::<IpAddr>()
        .map_or_else(|_| bare.to_ascii_lowercase(), |address| address.to_string())
}

/// Has the coordinator, which is trusted, say which certificate a member shows. Where it cannot, the connection to the
/// member says what is wrong.
async fn vouch(connection: &Connection, next: &http::Uri, host: &str) {
    let shown = connection.certificate_of(host).await;
    connection.vouch(next, shown);
}
