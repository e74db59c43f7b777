//! xenapi-benches
