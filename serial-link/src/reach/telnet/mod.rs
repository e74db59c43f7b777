//! Telnet as QEMU, ser2net and terminal servers speak it: enough to get the port's bytes out and in unharmed.

mod codec;
mod stream;

pub use codec::{Decoder, escape};
pub use stream::TelnetStream;
