//! The small pages of HTML with which xapi refuses.

use super::message::Reply;

fn page(status: u16, text: &str) -> Reply {
    let mut reply = Reply::full(status, format!("<html><body>{text}</body></html>"));
    reply.close = true;
    reply
        .with("content-type", "text/html")
        .with("connection", "close")
        .with("cache-control", "no-cache, no-store")
}

/// Text as it stands in a page, or in an attribute of XML.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// 500 with what went wrong.
pub(super) fn internal_error(details: &str) -> Reply {
    let details = escaped(details);
    page(
        500,
        &format!(
            "<h1>HTTP 500 internal server error</h1>An unexpected error occurred; please wait a while and try again. \
             If the problem persists, please contact your support representative.<h1> Additional information \
             </h1>{details}"
        ),
    )
}

/// 401 of a handler, whose name is the realm.
pub(super) fn unauthorised(realm: &str) -> Reply {
    page(
        401,
        "<h1>HTTP 401 unauthorised</h1>Please check your credentials and retry.",
    )
    .with("WWW-Authenticate", format!("Basic realm=\"{realm}\""))
}

/// 403: no handler for this method.
pub(super) fn forbidden() -> Reply {
    page(
        403,
        "<h1>HTTP 403 forbidden</h1>Access to the requested resource is forbidden.",
    )
}

/// 404: no such file.
pub(super) fn not_found() -> Reply {
    page(
        404,
        "<h1>HTTP 404 not found</h1>The requested resource was not found on this server.",
    )
}

/// 400: no HTTP.
pub(super) fn bad_request() -> Reply {
    page(
        400,
        "<h1>HTTP 400 bad request</h1>The HTTP request was malformed. Please correct and retry.",
    )
}

/// 431: a head that does not end.
pub(super) fn headers_too_large() -> Reply {
    page(
        431,
        "<h1>HTTP 431 request header fields too large</h1>Exceeded the maximum header size.",
    )
}

/// 501: a method or handler that is not there.
pub(super) fn not_implemented(what: &str) -> Reply {
    page(
        501,
        &format!("<h1>HTTP 501 Method Not Implemented</h1>{what} not supported by this server"),
    )
}
