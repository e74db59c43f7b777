//! Benchmarks of this workspace against its peers; `cargo bench -p xenapi-benches --bench decode` runs one, with
//! `-- --quick` in a few seconds on a small input.

pub mod soak;
#[cfg(unix)]
pub mod sparse;
