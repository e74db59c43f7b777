//! A virtual machine's serial port, without its traps.

pub mod reach;
pub mod setup;
