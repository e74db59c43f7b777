//! Turns the datamodel, which is kept in files of our own beside this crate, into the classes of `xenapi` and the
//! tables of its simulator.
//!
//! `cargo run -p xenapi-codegen` writes everything again; `cargo run -p xenapi-codegen import FILE` takes over a newer
//! dump of the server's datamodel and prints what changed. The format of the files is told in `datamodel/README.md`.
//!
//! ```
//! use xenapi_codegen::{parse, print};
//!
//! let text = "class blob | published orlando | database\n\nfields\n  rw      public: bool = false | published tampa\n";
//! let class = parse::class(text)?;
//! assert_eq!(class.fields[0].name, "public");
//! assert_eq!(print::class(&class), text);
//! # Ok::<(), parse::ParseError>(())
//! ```

pub mod describe;
pub mod diff;
pub mod docs;
pub mod emit;
pub mod expand;
pub mod format;
pub mod generate;
pub mod import;
pub mod model;
pub mod names;
pub mod parse;
pub mod phrases;
pub mod print;
mod scan;
pub mod secrets;
pub mod store;
