//! How systems start.

use anyhow::{Context, bail};
use clap::Args;
use vhd_mbr::bootloader::{self, SerialConsole};
use vhd_mbr::patch::{Change, WritePlan};
use vhd_mbr::registry::bcd;
use vhd_mbr::xen_disk::ReadAt;
use xenapi_examples::FoundVolume;

use crate::files::{Where, change_content};
use crate::registry::change_hive;

#[derive(Args, Clone)]
pub(crate) struct BcdDebug {
    /// The serial port: 1 is COM1
    #[arg(long, default_value_t = 1)]
    port: u32,
    /// Bits a second
    #[arg(long, default_value_t = 115_200)]
    baud_rate: u32,
}

#[derive(Args, Clone)]
pub(crate) struct GrubSerial {
    /// The configuration of the boot loader; otherwise it is looked for where distributions have it
    #[arg(long, value_name = "PATH")]
    config: Option<String>,
    /// The serial port: 0 is ttyS0, which is COM1
    #[arg(long, default_value_t = 0)]
    port: u8,
    /// Bits a second
    #[arg(long, default_value_t = 115_200)]
    baud_rate: u32,
}

/// Where Windows has its boot configuration: of a BIOS, and of EFI.
const STORES: [&str; 3] = ["/Boot/BCD", "/EFI/Microsoft/Boot/BCD", "/boot/bcd"];
/// Where boot loaders for Linux have theirs, seen from the volume that has it.
const CONFIGS: [&str; 8] = [
    "/boot/grub/grub.cfg",
    "/boot/grub2/grub.cfg",
    "/grub/grub.cfg",
    "/grub2/grub.cfg",
    "/boot/extlinux/extlinux.conf",
    "/extlinux/extlinux.conf",
    "/boot/extlinux.conf",
    "/extlinux.conf",
];

impl BcdDebug {
    pub(crate) fn plan(&self, disk: &dyn ReadAt, which: &Where) -> anyhow::Result<WritePlan> {
        let path = first(disk, which, &STORES)?;
        change_hive(disk, which, path, |hive| {
            Ok(bcd::enable_debug(hive, self.port, self.baud_rate)?)
        })
    }
}

impl GrubSerial {
    pub(crate) fn plan(&self, disk: &dyn ReadAt, which: &Where) -> anyhow::Result<WritePlan> {
        let path = match &self.config {
            Some(path) => path,
            None => first(disk, which, &CONFIGS)?,
        };
        let found = FoundVolume::open(disk, &which.volume, Some(path))?;
        change_content(&found, disk, which, path, |old| {
            let new = SerialConsole::new(self.port, self.baud_rate).put_into(old);
            let new = match new {
                Err(bootloader::Error::NoKernel) if has_word(old, b"blscfg") => bail!(
                    "{path} takes its kernels from loader/entries beside the folder of GRUB: say --config with the path of \
                     the entry that starts, such as /boot/loader/entries/….conf, which `vm-ls` lists"
                ),
                new => new?,
            };
            Ok(vec![Change::write(0, new).expecting(old)])
        })
    }
}

fn has_word(text: &[u8], wanted: &[u8]) -> bool {
    text.split(u8::is_ascii_whitespace).any(|word| word == wanted)
}

/// The first of some paths that the disk has.
fn first<'p>(disk: &dyn ReadAt, which: &Where, paths: &[&'p str]) -> anyhow::Result<&'p str> {
    let is_there = |path: &str| FoundVolume::open(disk, &which.volume, Some(path)).is_ok();
    let found = paths.iter().find(|path| is_there(path)).copied();
    found.with_context(|| format!("the disk has none of {}", paths.join(", ")))
}
