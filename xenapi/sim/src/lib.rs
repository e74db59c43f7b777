//! A simulated XenServer pool that answers as xapi does.

pub mod datamodel;
