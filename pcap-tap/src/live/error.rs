use std::io;
use std::time::Duration;

use crate::pcap;

/// What can go wrong with a live capture: what was tried, where, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The session to the control domain.
    #[error(transparent)]
    Dom0(#[from] dom0::Error),

    /// No VM of this name or uuid runs on the host.
    #[error(
        "no VM {wanted:?} runs on {host}; it may be halted or on another host; there run: {}",
        if running.is_empty() { "none".into() } else { running.join(", ") }
    )]
    NoSuchVm {
        /// `user@host:port`.
        host: String,
        /// The name or uuid.
        wanted: String,
        /// Names of those that run, at most twenty.
        running: Vec<String>,
    },

    /// Several VMs have the name.
    #[error("several VMs on {host} are called {wanted:?}; say which by its uuid: {}", uuids.join(", "))]
    SeveralVms {
        /// `user@host:port`.
        host: String,
        /// The name.
        wanted: String,
        /// Their uuids.
        uuids: Vec<String>,
    },

    /// The VM has no NIC of this number.
    #[error(
        "{vm} has no NIC {number}; it has: {}",
        if numbers.is_empty() { "none".into() } else { list(numbers) }
    )]
    NoSuchNic {
        /// The VM's name.
        vm: String,
        /// The number.
        number: u32,
        /// Those it has.
        numbers: Vec<u32>,
    },

    /// The NIC is a virtual function of a physical card.
    #[error(
        "NIC {number} of {vm} is an SR-IOV virtual function: its packets go past the control domain, which cannot see \
         them; capture inside the VM, or give it a NIC without SR-IOV"
    )]
    SrIov {
        /// The VM's name.
        vm: String,
        /// The NIC's number.
        number: u32,
    },

    /// The NIC has no device now, and the capture is not to wait for one.
    #[error(
        "NIC {number} of {vm} has no device in the control domain now: it is unplugged, or the VM is just starting"
    )]
    NoDevice {
        /// The VM's name.
        vm: String,
        /// The NIC's number.
        number: u32,
    },

    /// A capture of nothing was asked for.
    #[error("there is no NIC to capture: choose one of a VM's")]
    NoNics,

    /// Nothing of a VM can be captured.
    #[error(
        "{vm} has no NIC that its host could see: {}",
        if *sr_iov { "all are SR-IOV virtual functions, whose packets go past the control domain; capture inside the VM" }
        else { "it has none at all" }
    )]
    NoneToSee {
        /// The VM's name.
        vm: String,
        /// Whether it has NICs, all of them virtual functions.
        sr_iov: bool,
    },

    /// The list of NICs is not as it has to be.
    #[error("on {host}, the list of NICs has a line that means nothing here: {line:?}")]
    Listing {
        /// `user@host:port`.
        host: String,
        /// The line, shortened.
        line: String,
    },

    /// The control domain has no tcpdump.
    #[error("{host} has no tcpdump; install it there (`yum install tcpdump`, `apt install tcpdump`)")]
    NoTcpdump {
        /// `user@host:port`.
        host: String,
    },

    /// tcpdump does not take the filter.
    #[error("tcpdump on {host} refuses the filter {filter:?}: {reason} (see pcap-filter(7))")]
    Filter {
        /// `user@host:port`.
        host: String,
        /// The filter.
        filter: String,
        /// What it said.
        reason: String,
    },

    /// tcpdump does not capture, though the device is there.
    #[error("tcpdump on {host} does not capture {device}: {reason}")]
    Tcpdump {
        /// `user@host:port`.
        host: String,
        /// The device.
        device: String,
        /// What it said.
        reason: String,
    },

    /// What tcpdump sent is no capture.
    #[error("what tcpdump sent of {device} is not understood: {source}")]
    Pcap {
        /// The device.
        device: String,
        /// What is wrong with it.
        source: pcap::Error,
    },

    /// The capture cannot be written.
    #[error("the capture cannot be written to {sink}: {source}")]
    Sink {
        /// The file, or what else it is written to.
        sink: String,
        /// Why.
        source: io::Error,
    },

    /// Whoever reads the capture does not read.
    #[error("whoever reads the capture took nothing for {} s: what was on its way is lost", waited.as_secs())]
    Stalled {
        /// How long it was waited for.
        waited: Duration,
    },
}

fn list(numbers: &[u32]) -> String {
    let numbers: Vec<_> = numbers.iter().map(u32::to_string).collect();
    numbers.join(", ")
}

impl Error {
    /// The thread that writes is gone without a word.
    pub(super) fn panicked() -> Self {
        Self::Sink {
            sink: "the sink".into(),
            source: io::Error::other("its writer panicked"),
        }
    }

    /// Whether whoever read the capture, such as Wireshark, has closed it: an end, rather than a failure.
    pub fn is_reader_gone(&self) -> bool {
        matches!(self, Self::Sink { source, .. } if source.kind() == io::ErrorKind::BrokenPipe)
    }
}
