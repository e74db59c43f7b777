use super::{Kind, LARGEST_PAYLOAD, LARGEST_VALUE, Message, XenStorePath};

/// Something to ask xenstore for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    kind: Kind,
    payload: Vec<u8>,
    value: usize,
}

/// A request that is not sent, because xenstore would refuse it, or never answer again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// A value above xenstore's quota.
    #[error("a value of {size} bytes: xenstore takes {LARGEST_VALUE}, so it has to be split")]
    Value {
        /// Its size.
        size: usize,
    },
    /// A message above the protocol's limit.
    #[error("a message of {size} bytes: xenstore stops to answer after one of more than {LARGEST_PAYLOAD}")]
    Message {
        /// Its size.
        size: usize,
    },
    /// A token has a zero byte, which would end it.
    #[error("a watch's token has a zero byte")]
    Token,
}

impl Request {
    /// The value at a path.
    pub fn read(path: &XenStorePath) -> Self {
        Self::of_path(Kind::Read, path)
    }

    /// The names below a path.
    pub fn list(path: &XenStorePath) -> Self {
        Self::of_path(Kind::Directory, path)
    }

    /// Removes a path and what is below it.
    pub fn remove(path: &XenStorePath) -> Self {
        Self::of_path(Kind::Remove, path)
    }

    /// Sets a value, and makes the folders above it.
    pub fn write(path: &XenStorePath, value: &[u8]) -> Self {
        let mut request = Self::of_path(Kind::Write, path);
        request.payload.extend_from_slice(value);
        request.value = value.len();
        request
    }

    /// Changes at or below a path are to be told, with this token.
    pub fn watch(path: &XenStorePath, token: &str) -> Self {
        Self::of_watch(Kind::Watch, path, token)
    }

    /// They are not, any more.
    pub fn unwatch(path: &XenStorePath, token: &str) -> Self {
        Self::of_watch(Kind::Unwatch, path, token)
    }

    /// Begins a transaction.
    pub fn start_transaction() -> Self {
        Self::new(Kind::TransactionStart, vec![0])
    }

    /// Ends the transaction that it is sent in, with or without its changes.
    pub fn end_transaction(commit: bool) -> Self {
        let word: &[u8] = if commit { b"T\0" } else { b"F\0" };
        Self::new(Kind::TransactionEnd, word.into())
    }

    fn new(kind: Kind, payload: Vec<u8>) -> Self {
        Self {
            kind,
            payload,
            value: 0,
        }
    }

    fn of_path(kind: Kind, path: &XenStorePath) -> Self {
        Self::new(kind, [path.as_str().as_bytes(), b"\0"].concat())
    }

    fn of_watch(kind: Kind, path: &XenStorePath, token: &str) -> Self {
        let payload = [path.as_str().as_bytes(), b"\0", token.as_bytes(), b"\0"].concat();
        Self::new(kind, payload)
    }

    /// What is asked.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// As bytes for the line, if xenstore takes them.
    pub fn encode(&self, request: u32, transaction: u32) -> Result<Vec<u8>, RequestError> {
        let size = self.payload.len();
        if self.value > LARGEST_VALUE {
            return Err(RequestError::Value { size: self.value });
        }
        if size > LARGEST_PAYLOAD {
            return Err(RequestError::Message { size });
        }
        let zeros = self.payload.iter().filter(|&&byte| byte == 0).count();
        if matches!(self.kind, Kind::Watch | Kind::Unwatch) && zeros != 2 {
            return Err(RequestError::Token);
        }
        let message = Message {
            kind: self.kind,
            request,
            transaction,
            payload: self.payload.clone(),
        };
        Ok(message.encode())
    }
}
