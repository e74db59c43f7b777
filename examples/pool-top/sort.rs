//! The order of the VMs.

use std::cmp::Ordering;

use clap::ValueEnum;

use crate::view::VmRow;

/// What the VMs are sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Column {
    Name,
    State,
    Cpus,
    Memory,
    Host,
    Uptime,
    Load,
}

impl Column {
    /// The column that a key stands for.
    pub(crate) fn of_key(key: char) -> Option<Self> {
        Some(match key {
            'n' => Self::Name,
            's' => Self::State,
            'c' => Self::Cpus,
            'm' => Self::Memory,
            'h' => Self::Host,
            'u' => Self::Uptime,
            'l' => Self::Load,
            _ => return None,
        })
    }

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::State => "state",
            Self::Cpus => "CPUs",
            Self::Memory => "memory",
            Self::Host => "host",
            Self::Uptime => "uptime",
            Self::Load => "load",
        }
    }

    /// Sorts: texts from A on, numbers from the largest on, and the same by name.
    pub(crate) fn sort(self, rows: &mut [VmRow]) {
        rows.sort_by(|a, b| self.compare(a, b).then_with(|| a.name.cmp(&b.name)));
    }

    fn compare(self, a: &VmRow, b: &VmRow) -> Ordering {
        match self {
            Self::Name => a.name.cmp(&b.name),
            Self::State => a.state.cmp(&b.state),
            Self::Cpus => b.cpus.cmp(&a.cpus),
            Self::Memory => b.memory.cmp(&a.memory),
            Self::Host => a.host.cmp(&b.host),
            Self::Uptime => b.uptime.cmp(&a.uptime),
            Self::Load => b.load.cpu.unwrap_or(-1.0).total_cmp(&a.load.cpu.unwrap_or(-1.0)),
        }
    }
}
