// docs.rs shows the sources anyway; a second copy of them would double the pages.
#![doc(html_no_source)]
#![doc = include_str!("../README.md")]

mod bulk;
mod call;
mod class;
mod connection;
mod error;
mod events;
mod request;
mod secret_string;
mod tasks;
mod transfer;

pub use self::bulk::{Bulk, bulk};
pub use self::call::Call;
pub use self::class::{TaskClass, TypedAs};
pub use self::connection::{Connect, Connection, Identity};
pub use self::error::{ApiError, DecodeError, Error, ErrorKind, HttpError, LostCall, Result, Timeout};
pub use self::events::{Background, Delta, Feed, Health, Selection, generation};
pub use self::secret_string::SecretString;
pub use self::tasks::{Outcome, RunningTask, TaskCall};
pub use self::transfer::{Download, DownloadCall, Handler, Source, UploadCall};
pub use xenapi_transport as transport;
pub use xenapi_wire as wire;
