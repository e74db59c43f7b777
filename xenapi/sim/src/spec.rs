//! What a VM is to be like that is added by hand.

use crate::disk_image::DiskImage;

/// A VM to add with [`Simulator::add_vm`](crate::Simulator::add_vm): by default it runs, has 2 GiB of memory, two
/// virtual CPUs, an empty CD drive, a network interface and no disk.
#[derive(Debug)]
pub struct VmSpec {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) memory: i64,
    pub(crate) vcpus: i64,
    pub(crate) running: bool,
    pub(crate) disks: Vec<DiskImage>,
    pub(crate) sr: Option<String>,
    pub(crate) host: usize,
    pub(crate) agent: bool,
}

impl VmSpec {
    /// A VM with this name.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            description: String::new(),
            memory: 2 << 30,
            vcpus: 2,
            running: true,
            disks: Vec::new(),
            sr: None,
            host: 0,
            agent: true,
        }
    }

    /// Its `name_description`.
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.description = text.into();
        self
    }

    /// Its memory in bytes.
    pub fn memory(mut self, bytes: i64) -> Self {
        self.memory = bytes;
        self
    }

    /// Its number of virtual CPUs.
    pub fn vcpus(mut self, count: i64) -> Self {
        self.vcpus = count;
        self
    }

    /// One more disk. The first is bootable.
    pub fn disk(mut self, image: DiskImage) -> Self {
        self.disks.push(image);
        self
    }

    /// It does not run; only such VMs can be exported.
    pub fn halted(mut self) -> Self {
        self.running = false;
        self
    }

    /// The reference of the SR for its disks, in place of the pool's default.
    pub fn sr(mut self, reference: impl Into<String>) -> Self {
        self.sr = Some(reference.into());
        self
    }

    /// Nobody in the guest tells anything: no addresses, no system, no PV drivers. The VM's
    /// `other_config:simulator-agent` is then `none`, which can as well be set, and taken away, before any start.
    pub fn without_agent(mut self) -> Self {
        self.agent = false;
        self
    }

    /// The number of the host that it runs on; the first is 0.
    pub fn host(mut self, number: usize) -> Self {
        self.host = number;
        self
    }
}
