//! What this process and the programs that it has waited for have read and written, as Linux counts it.

use std::ops::Sub;

/// By `read`, `write` and their like; what is mapped or comes through a socket by `recv` is not counted.
#[derive(Clone, Copy)]
pub(crate) struct Traffic {
    pub(crate) calls: u64,
    pub(crate) read: u64,
    pub(crate) written: u64,
}

impl Traffic {
    /// So far. `None` where the system does not tell.
    pub(crate) fn so_far() -> Option<Self> {
        let counts = std::fs::read_to_string("/proc/self/io").ok()?;
        let count = |name: &str| {
            let line = counts.lines().find_map(|line| line.strip_prefix(name));
            line?.trim().parse::<u64>().ok()
        };
        Some(Self {
            calls: count("syscr:")? + count("syscw:")?,
            read: count("rchar:")?,
            written: count("wchar:")?,
        })
    }
}

impl Sub for Traffic {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            calls: self.calls - earlier.calls,
            read: self.read - earlier.read,
            written: self.written - earlier.written,
        }
    }
}
