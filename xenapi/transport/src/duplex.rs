//! Streams in both directions.

use tokio::io::{AsyncRead, AsyncWrite};

/// A stream in both directions, as [`Transport::connect`](super::Transport::connect) opens it. Whatever can be read and
/// written is one.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Duplex for T {}
