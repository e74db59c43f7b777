//! pcapng, as Wireshark reads it from a file, a pipe, or while it is still being written.
//!
//! A section holds interfaces and their packets, in the order in which they arrived; new interfaces may come at any time
//! (IETF draft `opsawg-pcapng`). One section a file: tshark up to 4.0 at least gives the packets of a second section to
//! the interfaces of the first.

mod block;
mod interface;
mod section;
mod statistics;
mod writer;

pub use interface::{Interface, InterfaceId};
pub use section::Section;
pub use statistics::Statistics;
pub use writer::Writer;
