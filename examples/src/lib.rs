//! xenapi-examples
