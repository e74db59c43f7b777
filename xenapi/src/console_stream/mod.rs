//! Consoles: a VM's screen or text console as a stream in both directions.

mod call;
mod error;
mod stream;

pub use self::call::ConsoleCall;
pub use self::error::ConsoleError;
pub use self::stream::ConsoleStream;
