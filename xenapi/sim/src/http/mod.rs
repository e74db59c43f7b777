//! HTTP as xapi speaks it, over sockets and in process.

mod answer;
mod export;
mod message;
mod pages;
mod rpc;
mod server;

pub(crate) use self::answer::answer;
pub(crate) use self::message::{Body, Broken, Reply, Request};
pub(crate) use self::server::{Listener, serve};
