#![doc = include_str!("../README.md")]

mod bulk;
mod cache;
mod call;
mod capability;
pub mod classes;
mod client;
mod codes;
mod console_stream;
mod datetime;
mod error;
mod event_batch;
mod ext;
mod handle;
mod http_actions;
pub mod manual;
mod map;
pub mod metrics;
mod object;
mod open_enum;
mod reference;
mod running_task;
mod secret_string;
mod task_watch;
mod transfer;
pub mod transport;
mod value;
mod watch;
pub mod wire;

pub use self::bulk::{Bulk, bulk};
pub use self::cache::{Cache, CacheCall};
pub use self::call::Call;
pub use self::capability::Capabilities;
pub use self::classes::*;
pub use self::client::{Client, Connect};
pub use self::codes::ErrorCode;
pub use self::console_stream::{ConsoleCall, ConsoleError, ConsoleStream};
pub use self::datetime::{DateTime, DateTimeError};
pub use self::error::{
    ApiError, DecodeError, Error, ErrorKind, HttpError, LostCall, Result, Timeout, UntrustedCertificate,
};
pub use self::event_batch::{Event, EventBatch};
pub use self::ext::Disk;
pub use self::http_actions::{HTTP_ACTIONS, HttpAction};
pub use self::map::{Iter, Map};
pub use self::object::{Object, Record};
pub use self::reference::{Ref, RefError};
pub use self::running_task::{Outcome, RunningTask, TaskCall};
pub use self::secret_string::SecretString;
pub use self::transfer::{
    Compression, DiskFormat, Download, DownloadCall, ExportCall, ExportMetadataCall, ExportRawCall, ImportCall,
    ImportMetadataCall, ImportRawCall, Source, UploadCall,
};
pub use self::transport::{Fingerprint, FingerprintError, Trust};
pub use self::value::{ToValue, Value};
pub use self::watch::{AnyRef, Change, Changes, Health, Watch};
