//! The setting that decides where a VM's serial port goes: `hvm_serial`.
//!
//! Its text is what QEMU takes behind `-serial`, word for word, and is read when the VM starts. Some texts keep the VM
//! from starting, or freeze it. This module reads them all, says what each does, and knows which not to set.
//!
//! ```
//! use serial_link::setup::{Form, Setting};
//!
//! // What the VM has, out of VM.platform and VM.other_config.
//! let platform = [("hvm_serial", "tcp:10.0.0.5:7000")];
//! let setting = Setting::of(platform, [("", "")]);
//! let form: Form = setting.value.parse()?;
//! for trap in form.traps() {
//!     println!("{trap}"); // nobody may listen there, and then the VM does not start
//! }
//! assert!(form.check().is_err());
//!
//! // What it should have.
//! let form = Form::recommended("/run", "0c0ffee0-1111-2222-3333-444444444444")?;
//! assert_eq!(form.to_string(), "unix:/run/serial-0c0ffee0-1111-2222-3333-444444444444,server,nowait");
//! assert!(form.check()?.is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod explain;
mod form;
mod options;
mod parse;
mod pending;
mod setting;
mod trap;

pub use form::{Address, BadFolder, Form, Protocol, Reconnect, Role, Socket, Udp};
pub use parse::ParseFormError;
pub use pending::{Pending, serial_argument};
pub use setting::{Origin, Setting};
pub use trap::{Refused, Trap};
