//! An archive out of raw images.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use clap::builder::RangedU64ValueParser;
use clap::{Args, ValueEnum};
use vhd_mbr::Size;
use xenapi_examples::{Image, ImageFormat, Meter, Total, note};
use xva::write::{Compressor, DiskSpec, Firmware, Plan, VifSpec, VmSpec, Writer};
use xva::{Compression, ReadAt};

use crate::measured::{Measured, Watched};

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
    /// The format of the images, where their names do not tell
    #[arg(long, value_name = "FORMAT")]
    image_format: Option<ImageFormat>,
    /// Memory in MiB
    #[arg(long, value_name = "MiB", default_value_t = 2048, value_parser = mebibytes())]
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

/// As much as servers can count in bytes.
pub(crate) fn mebibytes() -> RangedU64ValueParser {
    RangedU64ValueParser::new().range(1..=i64::MAX as u64 >> 20)
}

pub(crate) fn run(flags: &Flags) -> anyhow::Result<()> {
    let firmware = if flags.uefi { Firmware::Uefi } else { Firmware::Bios };
    let mut vm = VmSpec::new(&flags.name)
        .memory(flags.memory << 20)
        .vcpus(flags.vcpus)
        .firmware(firmware);
    let images = flags.disks.iter().map(|image| Image::open(image, flags.image_format));
    let images = images.collect::<anyhow::Result<Vec<_>>>()?;
    let sizes = images.iter().map(|image| image.disk.size());
    let meter = Arc::new(Meter::new(Total::Known(sizes.sum::<io::Result<u64>>()?)));
    let mut before = 0;
    for (path, image) in flags.disks.iter().zip(images) {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let size = image.disk.size()?;
        vm = vm.disk(DiskSpec::new(name, Watched::new(image.disk, &meter, before)));
        before += size;
    }
    for network in &flags.networks {
        vm = vm.vif(VifSpec::new(network));
    }
    let plan = Writer::new(vm).plan()?;
    drop(meter);
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

fn write(plan: Plan<Watched>, output: &mut impl Write, format: Option<Format>) -> anyhow::Result<()> {
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
