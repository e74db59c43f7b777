//! Replies, in one pass where they are JSON and in a second where they only look like it.

use serde::de::DeserializeOwned;

use super::envelope::Envelope;
use super::lenient;
use crate::error::Segment;
use crate::reply::refusal;
use crate::{DecodeError, ReplyError, from_value};

/// `serde_json` on text whose UTF-8 was checked once is the fastest way to a record, but it refuses bare `NaN`, raw
/// control characters and the empty text that stands for no result. Whatever it refuses is read again into a `Value`,
/// which also tells where in the reply the reason lies.
pub(crate) fn decode_reply<T: DeserializeOwned>(body: &[u8]) -> Result<T, ReplyError> {
    let strict = std::str::from_utf8(body)
        .ok()
        .and_then(|text| serde_json::from_str::<Envelope<T>>(text).ok());
    match strict {
        Some(Envelope { result, error }) => match (refusal(error), result) {
            (Some(refusal), _) => Err(refusal),
            (None, Some(Some(value))) => Ok(value),
            (None, _) => decode_again(body),
        },
        None => decode_again(body),
    }
}

#[cold]
fn decode_again<T: DeserializeOwned>(body: &[u8]) -> Result<T, ReplyError> {
    let reply = lenient::parse(body).map_err(|error| error.in_message(body))?;
    if let Some(refusal) = reply.get("error").and_then(|error| refusal(error.clone())) {
        return Err(refusal);
    }
    let Some(result) = reply.get("result") else {
        return Err(DecodeError::at(0, "a reply with neither a result nor an error")
            .in_message(body)
            .into());
    };
    from_value(result).map_err(|error| located(error.inside(Segment::member("result")), body).into())
}

/// Finds the byte at which the value stands that the error's path leads to.
fn located(error: DecodeError, body: &[u8]) -> DecodeError {
    match lenient::find(body, error.steps()) {
        Some(offset) => error.or_at(offset).in_message(body),
        None => error,
    }
}
