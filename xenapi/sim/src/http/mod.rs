//! HTTP as xapi speaks it, over sockets and in process.

mod access;
mod answer;
mod blobs;
mod bundle;
pub(crate) mod console;
mod export;
mod export_raw;
mod files;
mod import;
mod import_raw;
mod intake;
mod message;
mod metrics;
mod pages;
mod rpc;
mod server;
mod services;
mod snapshot;
mod transfer;
mod upload;
mod workload;

pub(crate) use self::answer::answer;
pub(crate) use self::message::{Body, Broken, Reply, Request};
pub(crate) use self::server::{Abort, Listener, serve};
pub(crate) use self::upload::Upload;
