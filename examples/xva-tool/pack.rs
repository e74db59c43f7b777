//! An archive out of raw images.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, ValueEnum};
use vhd_mbr::Size;
use xenapi_examples::{AnyDisk, Image, Meter, Total, note};
use xva::Compression;
use xva::write::{Compressor, DiskSpec, Firmware, Plan, VifSpec, VmSpec, Writer};

use crate::measured::Measured;

#[derive(Args)]
pub(crate) struct Flags {
    /// The archive to make; it must not be there yet
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The VM's name
    #[arg(long)]
    name: String,
    /// An image (raw, VHD or qcow2) for the VM's next disk; the first one is booted from. Holes are not read
    #[arg(long = "disk", value_name = "IMAGE", required = true)]
    disks: Vec<PathBuf>,
    /// Memory in MiB
    #[arg(long, value_name = "MiB", default_value_t = 2048)]
    memory: u64,
    /// Virtual processors
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    vcpus: u32,
    /// Boot by UEFI rather than by BIOS
    #[arg(long)]
    uefi: bool,
    /// A network, for the VM's next interface, by the name that the pool knows it by
    #[arg(long = "network", value_name = "NAME")]
    networks: Vec<String>,
    /// Compress the archive
    #[arg(long, value_enum)]
    compression: Option<Format>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Gzip,
    Zstd,
}

pub(crate) fn run(flags: &Flags) -> anyhow::Result<()> {
    let firmware = if flags.uefi { Firmware::Uefi } else { Firmware::Bios };
    let mut vm = VmSpec::new(&flags.name)
        .memory(flags.memory << 20)
        .vcpus(flags.vcpus)
        .firmware(firmware);
    for image in &flags.disks {
        let name = image.file_stem().unwrap_or_default().to_string_lossy();
        vm = vm.disk(DiskSpec::new(name, Image::open(image)?.disk));
    }
    for network in &flags.networks {
        vm = vm.vif(VifSpec::new(network));
    }
    let plan = Writer::new(vm).plan()?;
    let (size, data) = (plan.size(), plan.data_size());
    let format = flags.compression;
    complete(&flags.file, |output| write(plan, output, format))?;
    let length = std::fs::metadata(&flags.file)?.len();
    note(format!(
        "{} of data in an archive of {}, {} on the disk",
        Size(data),
        Size(size),
        Size(length)
    ));
    Ok(())
}

fn write(plan: Plan<AnyDisk>, output: &mut impl Write, format: Option<Format>) -> anyhow::Result<()> {
    let meter = Meter::new(Total::Known(plan.size()));
    let mut input = Measured::new(plan.into_reader(), meter);
    let compression = match format {
        Some(Format::Gzip) => Compression::Gzip,
        Some(Format::Zstd) => Compression::Zstd,
        None => {
            io::copy(&mut input, output)?;
            return Ok(());
        }
    };
    let mut compressor = Compressor::new(output, compression)?;
    io::copy(&mut input, &mut compressor)?;
    compressor.finish()?;
    Ok(())
}

/// Makes a file that is there only if it is complete.
pub(crate) fn complete(
    path: &Path,
    work: impl FnOnce(&mut BufWriter<File>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let file = File::create_new(path).with_context(|| format!("cannot create {}", path.display()))?;
    let mut output = BufWriter::with_capacity(1 << 20, file);
    let end = |output: BufWriter<File>| -> io::Result<()> { output.into_inner()?.sync_all() };
    let written = work(&mut output).and_then(|()| Ok(end(output)?));
    if written.is_err() {
        // Half an archive is of no use to anybody.
        let _ = std::fs::remove_file(path);
    }
    written
}
