//! Turns the datamodel, which is kept in files of our own beside this crate, into the classes of `xenapi` and the
//! tables of its simulator.
//!
//! `cargo run -p xenapi-codegen` writes everything again; `cargo run -p xenapi-codegen import FILE` takes over a newer
//! dump of the server's datamodel and prints what changed. The format of the files is told in `datamodel/README.md`.

pub mod diff;
pub mod expand;
pub mod import;
pub mod model;
pub mod parse;
pub mod print;
mod scan;
pub mod store;
