/// Why the link did not take something.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// There is no session yet, or no longer.
    #[error("the two ends of the serial link have no session; wait for the event `Connected`")]
    NotConnected,
    /// The channel or stream was closed, by either end, or belonged to an earlier session.
    #[error("channel {channel} is closed")]
    Closed {
        /// The channel.
        channel: u32,
    },
    /// Too much waits for the line already.
    #[error("more than {limit} bytes of messages wait for the serial line; read events and send what `transmit` gives")]
    Busy {
        /// The limit, in bytes.
        limit: usize,
    },
    /// As many channels are open as a session may have.
    #[error("{limit} channels are open on the serial link; close one first")]
    TooManyChannels {
        /// The limit.
        limit: usize,
    },
    /// The message does not fit.
    #[error("the message has {size} bytes and may have {limit}; shorten the arguments or the environment")]
    TooLarge {
        /// Its size in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
}
