//! xenapi-codegen
