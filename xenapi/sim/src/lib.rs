//! xenapi-sim
