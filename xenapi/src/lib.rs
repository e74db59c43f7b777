#![doc = include_str!("../README.md")]

mod bulk;
mod cache;
mod call;
mod capability;
pub mod classes;
mod client;
mod console_stream;
mod error;
mod event_batch;
mod ext;
mod handle;
mod http_actions;
pub mod manual;
pub mod metrics;
mod running_task;
mod secret_string;
mod task_watch;
mod transfer;
mod watch;

pub use self::bulk::{Bulk, bulk};
pub use self::cache::{Cache, CacheCall};
pub use self::call::Call;
pub use self::capability::Capabilities;
pub use self::classes::*;
pub use self::client::{Client, Connect};
pub use self::console_stream::{ConsoleCall, ConsoleError, ConsoleStream};
pub use self::error::{ApiError, DecodeError, Error, ErrorKind, HttpError, LostCall, Result, Timeout};
pub use self::event_batch::{Event, EventBatch};
pub use self::ext::Disk;
pub use self::http_actions::{HTTP_ACTIONS, HttpAction};
pub use self::running_task::{Outcome, RunningTask, TaskCall};
pub use self::secret_string::SecretString;
pub use self::transfer::{
    Compression, DiskFormat, Download, DownloadCall, ExportCall, ExportMetadataCall, ExportRawCall, ImportCall,
    ImportMetadataCall, ImportRawCall, Source, UploadCall,
};
pub use self::watch::{AnyRef, Change, Changes, Health, Watch};
#[doc(inline)]
pub use xenapi_transport as transport;
#[doc(inline)]
pub use xenapi_transport::{Fingerprint, FingerprintError, Trust, UntrustedCertificate};
#[doc(inline)]
pub use xenapi_wire as wire;
#[doc(inline)]
pub use xenapi_wire::{
    DateTime, DateTimeError, ErrorCode, Iter, Map, Object, Record, Ref, RefError, ToValue, Value,
};
