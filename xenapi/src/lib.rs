#![doc = include_str!("../README.md")]
// Generated code for the most part, which would be a tenth of all pages.
#![doc(html_no_source)]

mod cache;
mod capability;
pub mod classes;
mod client;
mod console_stream;
mod ext;
mod handle;
mod http_actions;
pub mod manual;
pub mod metrics;
mod transfer;
mod watch;

pub use self::cache::{Cache, CacheCall};
pub use self::capability::Capabilities;
pub use self::classes::*;
pub use self::client::{Client, Connect};
pub use self::console_stream::{ConsoleCall, ConsoleError, ConsoleStream};
pub use self::ext::{Disk, ScriptOutput, storage};
pub use self::http_actions::{HTTP_ACTIONS, HttpAction};
pub use self::transfer::{
    Compression, DiskFormat, ExportCall, ExportMetadataCall, ExportRawCall, ImportCall, ImportMetadataCall,
    ImportRawCall,
};
pub use self::watch::{AnyRef, Change, Changes, Watch};
#[doc(inline)]
pub use xenapi_connection::{
    ApiError, Bulk, Call, Connection, DecodeError, Download, DownloadCall, Error, ErrorKind, Handler, Health,
    HttpError, LostCall, Outcome, Result, RunningTask, SecretString, Source, TaskCall, Timeout, UploadCall, bulk,
};
#[doc(no_inline)]
pub use xenapi_transport as transport;
#[doc(inline)]
pub use xenapi_transport::{Fingerprint, FingerprintError, Trust, UntrustedCertificate};
#[doc(no_inline)]
pub use xenapi_wire as wire;
#[doc(inline)]
pub use xenapi_wire::{
    DateTime, DateTimeError, ErrorCode, Event, EventBatch, Iter, Map, Object, Record, Ref, RefError, ToValue, Value,
};
