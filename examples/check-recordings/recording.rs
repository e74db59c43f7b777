//! One call, recorded in both encodings.

use std::path::Path;

use anyhow::{Context, bail, ensure};
use xenapi::wire::Encoding;

use crate::{metrics, typed};

/// A reply's body and what it is written in.
pub(crate) struct Body {
    pub(crate) encoding: Encoding,
    pub(crate) bytes: Vec<u8>,
}

/// `NAME` of `NAME.xml.http` or `NAME.json.http`.
pub(crate) fn base_name(file: &str) -> Option<&str> {
    file.strip_suffix(".xml.http")
        .or_else(|| file.strip_suffix(".json.http"))
}

/// Reads what there is of a name and checks it.
pub(crate) fn check(folder: &Path, name: &str) -> anyhow::Result<String> {
    let mut bodies = Vec::new();
    for (suffix, encoding) in [("xml", Encoding::Xml), ("json", Encoding::Json)] {
        let path = folder.join(format!("{name}.{suffix}.http"));
        if path.exists() {
            let reply = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            bodies.push(Body {
                encoding,
                bytes: body(&reply)?.to_vec(),
            });
        }
    }
    let what = if metrics::is_metrics(name) {
        metrics::compare(&bodies)?
    } else {
        typed::compare(name, &bodies)?
    };
    match &bodies[..] {
        [_, _] => Ok(format!("{what}, both encodings equal")),
        _ if metrics::has_one_encoding(name) => Ok(format!("{what}, one encoding")),
        [only] => bail!("{what}, but in {:?} only: the other encoding is missing", only.encoding),
        [..] => bail!("no reply"),
    }
}

/// The body of a successful HTTP reply, as long as its head says.
fn body(reply: &[u8]) -> anyhow::Result<&[u8]> {
    let end = reply
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .context("no end of the HTTP head")?;
    let head = String::from_utf8_lossy(&reply[..end]);
    let mut lines = head.lines();
    let status = lines
        .next()
        .and_then(|line| line.split(' ').nth(1))
        .context("no status line")?;
    ensure!(status == "200", "HTTP status {status}");
    let body = &reply[end + 4..];
    let length = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| key.eq_ignore_ascii_case("content-length"));
    match length {
        Some((_, length)) => body
            .get(..length.trim().parse()?)
            .context("the body is shorter than its content-length"),
        None => Ok(body),
    }
}
