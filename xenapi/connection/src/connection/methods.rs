//! Which messages the server knows.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError};

use super::Connection;
use crate::{Call, Result};

/// How many messages are remembered as unknown: all there are, and room for typing errors.
const MOST_UNKNOWN: usize = 4096;

/// What has been learned about the messages that the server knows.
#[derive(Default)]
pub(super) struct Methods {
    known: Option<Arc<HashSet<String>>>,
    unknown: HashSet<String>,
}

impl Connection {
    /// Whether the server knows a message, for example `VM.snapshot`. The first time it is asked for its list; what it
    /// refused as unknown since then counts too.
    /// A new login, to a server that may have been upgraded meanwhile, forgets both.
    ///
    /// # Errors
    /// As any call, the first time.
    pub async fn supports(&self, method: &str) -> Result<bool> {
        let method = method.strip_prefix("Async.").unwrap_or(method);
        let listed = {
            let methods = self.inner.methods.read().unwrap_or_else(PoisonError::into_inner);
            if methods.unknown.contains(method) {
                return Ok(false);
            }
            methods.known.clone()
        };
        let known = match listed {
            Some(known) => known,
            None => self.list_methods().await?,
        };
        Ok(known.contains(method))
    }

    async fn list_methods(&self) -> Result<Arc<HashSet<String>>> {
        let listed: Vec<String> = Call::new(self, "system.listMethods").await?;
        let known = Arc::new(listed.into_iter().collect());
        let mut methods = self.inner.methods.write().unwrap_or_else(PoisonError::into_inner);
        Ok(methods.known.insert(known).clone())
    }

    /// Another login may be to another version: a pool is upgraded host by host.
    pub(super) fn forget_methods(&self) {
        let mut methods = self.inner.methods.write().unwrap_or_else(PoisonError::into_inner);
        *methods = Methods::default();
    }

    /// The messages that the server has refused as unknown since the last login.
    pub fn refused_methods(&self) -> HashSet<String> {
        let methods = self.inner.methods.read().unwrap_or_else(PoisonError::into_inner);
        methods.unknown.clone()
    }

    pub(super) fn forget_method(&self, method: &str) {
        let mut methods = self.inner.methods.write().unwrap_or_else(PoisonError::into_inner);
        if methods.unknown.len() < MOST_UNKNOWN {
            methods.unknown.insert(method.trim_start_matches("Async.").to_owned());
        }
    }
}
