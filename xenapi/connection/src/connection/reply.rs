//! An answer at the level of XenAPI.

use bytes::Bytes;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::wire::{self, Encoding, ErrorCode, ReplyError};
use crate::{ApiError, DecodeError, Error, Result, SecretString};

/// Replies above this are decoded away from the reactor.
const DECODED_IN_PLACE: usize = 1 << 20;
/// No error that sends a call elsewhere is longer than this.
const LONGEST_REFUSAL: usize = 4096;

/// An answer at the level of XenAPI, not yet decoded.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(super) method: Box<str>,
    pub(super) encoding: Encoding,
    pub(super) body: Bytes,
    /// What no error may repeat.
    pub(super) secrets: Vec<SecretString>,
}

impl Reply {
    /// The error code and its first parameter, where this is a short failure.
    pub(super) fn refusal(&self) -> Option<(ErrorCode, String)> {
        if self.body.len() > LONGEST_REFUSAL {
            return None;
        }
        match wire::decode_reply::<IgnoredAny>(self.encoding, &self.body) {
            Err(ReplyError::Api { code, params }) => Some((
                ErrorCode::from(code.as_str()),
                params.into_iter().next().unwrap_or_default(),
            )),
            _ => None,
        }
    }

    pub(crate) async fn decode<T: DeserializeOwned + Send + 'static>(self) -> Result<T> {
        if self.body.len() < DECODED_IN_PLACE {
            return self.decode_here();
        }
        let method = self.method.clone();
        match tokio::task::spawn_blocking(move || self.decode_here()).await {
            Ok(result) => result,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(Error::unanswered(
                    &method,
                    "the runtime shut down before the reply was read",
                )),
            },
        }
    }

    fn decode_here<T: DeserializeOwned + 'static>(&self) -> Result<T> {
        wire::decode_reply(self.encoding, &self.body).map_err(|error| match error {
            ReplyError::Api { code, params } => {
                Error::Api(Box::new(ApiError::new(&self.method, &code, params, &self.secrets)))
            }
            ReplyError::Decode(source) => {
                let source = if is_private(&self.method) {
                    source.redacted()
                } else {
                    source
                };
                DecodeError::new(&*self.method, source).into()
            }
        })
    }
}

/// Whether a reply can hold a secret, so that no error may show a piece of it.
fn is_private(method: &str) -> bool {
    ["session.", "secret.", "auth.", "PBD."]
        .iter()
        .any(|class| method.contains(class))
        || method.contains("password")
}
