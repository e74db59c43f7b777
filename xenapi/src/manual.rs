//! The manual: one chapter a topic, each with the question that it answers, and recipes for single jobs.
//!
//! All code in it runs as a test on a pool of `xenapi-sim`; the lines that make that pool are hidden. `pool` is a
//! logged-in [`Client`](crate::Client) throughout.
//!
//! 1. [`connecting`]: which host do I talk to, how do I know that it is the right one, and when does the session end?
//! 2. [`references`]: how do I name an object, and what do I get when I read it?
//! 3. [`power_states`]: what may I do to a VM now, and how do I get back one that hangs?
//! 4. [`disks`]: how big is this disk, really, and which of the VM's disks is it?
//! 5. [`networks`]: which network, VLAN and address does a VM have, and what is its card called on the host?
//! 6. [`tasks`]: how do I run something long, follow it, stop it, and find out how it ended?
//! 7. [`events`]: how do I follow what changes, and wait for what I want?
//! 8. [`moving_disks`]: how do I get a VM, a disk, or what changed of one out of a pool, and back in?
//! 9. [`consoles`]: how do I reach a VM's screen and serial line?
//! 10. [`metrics`]: how busy are hosts, VMs and storage, and in what units?
//! 11. [`errors`]: what went wrong, whose fault was it, and may I try again?
//! 12. [`permissions`]: what may this user do, and how do I keep passwords out of sight?
//! 13. [`testing`]: how do I test a program that talks to a pool, without a pool?
//! 14. [`coming_from`]: I know the `xe` command or another SDK, so what is the same thing called here?
//!
//! [`recipes`] answer single questions with code to copy.

#[doc = include_str!("manual/01_connecting.md")]
pub mod connecting {}

#[doc = include_str!("manual/02_references.md")]
pub mod references {}

#[doc = include_str!("manual/03_power_states.md")]
pub mod power_states {}

#[doc = include_str!("manual/04_disks.md")]
pub mod disks {}

#[doc = include_str!("manual/05_networks.md")]
pub mod networks {}

#[doc = include_str!("manual/06_tasks.md")]
pub mod tasks {}

#[doc = include_str!("manual/07_events.md")]
pub mod events {}

#[doc = include_str!("manual/08_moving_disks.md")]
pub mod moving_disks {}

#[doc = include_str!("manual/09_consoles.md")]
pub mod consoles {}

#[doc = include_str!("manual/10_metrics.md")]
pub mod metrics {}

#[doc = include_str!("manual/11_errors.md")]
pub mod errors {}

#[doc = include_str!("manual/12_permissions.md")]
pub mod permissions {}

#[doc = include_str!("manual/13_testing.md")]
pub mod testing {}

#[doc = include_str!("manual/14_coming_from.md")]
pub mod coming_from {}

pub mod recipes {
    //! Single questions that people bring to trackers and forums: what to know, code to copy, what goes wrong.
    //!
    //! - [`vms`]: start and stop many, make one from a template, memory and CPUs, stuck operations, old snapshots.
    //! - [`storage`]: sizes, chains, orphans, ISOs, resizing, single disks out, VMs in, moving, who uses a disk.
    //! - [`network`]: who has this address, waiting for one, VLANs, cards, locking, traffic.
    //! - [`operations`]: maintenance, rolling restarts, updates, tasks, retries, sessions, roles, certificates, high
    //!   availability, PCI devices, changes, large pools, plugins.

    #[doc = include_str!("manual/recipes_vms.md")]
    pub mod vms {}

    #[doc = include_str!("manual/recipes_storage.md")]
    pub mod storage {}

    #[doc = include_str!("manual/recipes_network.md")]
    pub mod network {}

    #[doc = include_str!("manual/recipes_operations.md")]
    pub mod operations {}
}
