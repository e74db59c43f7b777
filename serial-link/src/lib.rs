//! A virtual machine's serial port, without its traps.

pub mod bridge;
pub mod live;
pub mod reach;
pub mod serve;
pub mod setup;
