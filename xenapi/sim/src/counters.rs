//! What a pool was asked for.

use std::collections::BTreeMap;

/// How often each message was called, and how much each HTTP handler sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Calls by wire name (`VM.start`, `Async.VM.start`), failed ones included.
    pub calls: BTreeMap<String, u64>,
    /// HTTP requests by path (`/jsonrpc`, `/export`), and disks that clients of NBD asked for, as `/nbd`.
    pub requests: BTreeMap<String, u64>,
    /// Bytes of response bodies sent, by path, and bytes of disks sent over NBD, as `/nbd`.
    pub sent: BTreeMap<String, u64>,
    /// Bytes of request bodies that handlers read while they came in, by path.
    pub received: BTreeMap<String, u64>,
    /// Connections accepted by listeners.
    pub connections: u64,
    /// VMs and disks that are being sent now.
    pub exports: u64,
    /// The most VMs and disks that were being sent at one time.
    pub most_exports: u64,
    /// Uploads that are being read now.
    pub imports: u64,
    /// The most uploads that were read at one time.
    pub most_imports: u64,
    /// Calls that are being answered now.
    pub pending: u64,
    /// The most calls that were being answered at one time.
    pub most_pending: u64,
}

impl Counters {
    /// How often a message was called, with or without `Async.`.
    pub fn calls(&self, method: &str) -> u64 {
        let plain = self.calls.get(method).copied().unwrap_or_default();
        plain + self.calls.get(&format!("Async.{method}")).copied().unwrap_or_default()
    }

    /// How many bytes of bodies a handler sent.
    pub fn sent(&self, path: &str) -> u64 {
        self.sent.get(path).copied().unwrap_or_default()
    }

    /// How many bytes of bodies a handler read.
    pub fn received(&self, path: &str) -> u64 {
        self.received.get(path).copied().unwrap_or_default()
    }
}
