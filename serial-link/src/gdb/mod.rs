//! gdb and a console on one port: `kgdboc=ttyS0` where `console=ttyS0` is too.
//!
//! [`serve`] gives gdb its packets and somebody else the rest; [`Splitter`] is what tells them apart, without I/O. Where a
//! debugger has the port for itself, [`serve::tcp`](crate::serve::tcp) is all that is needed.

mod serve;
mod splitter;

pub use serve::serve;
pub use splitter::{Piece, Splitter};
