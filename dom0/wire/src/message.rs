use super::{Kind, LARGEST_PAYLOAD};

/// A message, as it stands on the line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// What it asks or tells.
    pub kind: Kind,
    /// The number that the answer bears again; 0 for a watch's event.
    pub request: u32,
    /// The transaction; 0 for none.
    pub transaction: u32,
    /// What is behind the header.
    pub payload: Vec<u8>,
}

/// Bytes that are no message of xenstore's. The connection cannot be used any more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// A length above the limit.
    #[error("xenstore announced a message of {length} bytes; {LARGEST_PAYLOAD} is the most there is")]
    Length {
        /// The length.
        length: u32,
    },
    /// A message whose inside is not as it has to be.
    #[error("xenstore answered {kind:?} with something else: {shown:?}")]
    Payload {
        /// What it answers.
        kind: Kind,
        /// The start of it.
        shown: String,
    },
}

const HEADER: usize = 16;

impl Message {
    /// As bytes. The payload has to be within [`LARGEST_PAYLOAD`], and is cut there: requests see to it before.
    pub fn encode(&self) -> Vec<u8> {
        let payload = &self.payload[..self.payload.len().min(LARGEST_PAYLOAD)];
        let mut bytes = Vec::with_capacity(HEADER + payload.len());
        for word in [self.kind.into(), self.request, self.transaction, payload.len() as u32] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend_from_slice(payload);
        bytes
    }

    pub(super) fn odd(&self) -> WireError {
        WireError::Payload {
            kind: self.kind,
            shown: String::from_utf8_lossy(&self.payload).chars().take(200).collect(),
        }
    }
}

/// Makes messages of bytes that come in pieces of any length.
#[derive(Debug, Default)]
pub struct Decoder {
    held: Vec<u8>,
}

impl Decoder {
    /// At the start of a connection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a piece. Who takes [`message`](Self::message)s after each never has more than one and a piece held here.
    pub fn feed(&mut self, piece: &[u8]) {
        self.held.extend_from_slice(piece);
    }

    /// The next message, if it is whole.
    pub fn message(&mut self) -> Result<Option<Message>, WireError> {
        let Some((header, rest)) = self.held.split_first_chunk::<HEADER>() else {
            return Ok(None);
        };
        let word = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let (kind, request, transaction, length) = (word(0).into(), word(4), word(8), word(12));
        if length as usize > LARGEST_PAYLOAD {
            return Err(WireError::Length { length });
        }
        let Some(payload) = rest.get(..length as usize) else {
            return Ok(None);
        };
        let message = Message {
            kind,
            request,
            transaction,
            payload: payload.to_vec(),
        };
        self.held.drain(..HEADER + length as usize);
        Ok(Some(message))
    }
}
