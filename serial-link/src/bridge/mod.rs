//! One connection to a serial port that is always kept, and everybody who wants it.
//!
//! ```no_run
//! use serial_link::bridge::{Bridge, Replay};
//! use serial_link::reach::{Mode, TcpLine};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let bridge = Bridge::start(TcpLine::new("127.0.0.1:7000", Mode::Raw));
//! let mut reader = bridge.reader("screen", Replay::Lines(20));
//! let writer = bridge.writer("screen")?; // one at a time; `ask_writer` asks the one who has it
//! writer.write(b"root\n").await?;
//! while let Some(piece) = reader.next().await {
//!     if piece.lost > 0 {
//!         eprintln!("[{} bytes came faster than they were read]", piece.lost);
//!     }
//!     print!("{}", String::from_utf8_lossy(&piece.bytes));
//! }
//! # Ok(())
//! # }
//! ```
//!
//! The bridge connects again, sooner than in a second, for as long as it lives. What comes in is kept in a ring of a fixed
//! size, in which every byte has a position that never changes. Nothing is ever sent to the guest but what a writer wrote:
//! no keepalive, no line ending, no greeting.

mod config;
mod event;
mod handle;
mod log;
mod pump;
mod reader;
mod ring;
mod shared;
mod writer;

pub use config::Config;
pub use event::{Event, Status};
pub use handle::Bridge;
pub use log::{Log, LogError};
pub use reader::{Piece, Reader, Replay};
pub use writer::{AskError, Busy, Request, WriteError, Writer};
