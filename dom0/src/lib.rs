//! x
#![allow(missing_docs)]
mod auth; mod backend; mod builtin; mod command; mod ends; mod error; mod exit; mod forward; mod home; mod host; mod host_keys; mod process_line; mod program; mod quote; mod relay; mod running; mod secret; mod session; mod stream; mod target; pub mod xen;
pub use auth::Auth; pub use builtin::Connect; pub use command::{Command, CommandError}; pub use error::Error; pub use exit::{Exit, Signal}; pub use forward::Forward; pub use host::{Host, ParseHostError}; pub use host_keys::{Decision, HostKeys, UnknownKey}; pub use program::SshProgram; pub use running::{Output, Running}; pub use secret::Secret; pub use session::Dom0; pub use stream::{ByteStream, RemoteStream, Stdin}; pub use target::Target;
