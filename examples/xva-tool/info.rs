//! What is in an archive.

use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use serde_json::{Value, json};
use vhd_mbr::Size;
use xenapi_examples::Printable;
use xva::ova::{Ova, Vm, VmDisk};
use xva::{Compression, Reader};

#[derive(Args)]
pub(crate) struct Flags {
    /// The archive, plain or compressed; - reads standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// Reads the metadata and no more.
pub(crate) fn run(flags: &Flags) -> anyhow::Result<()> {
    let mut reader = Reader::new(crate::stream(&flags.file)?);
    let ova = reader.ova()?.context("the archive has no metadata")?.clone();
    let mut out = io::stdout().lock();
    if flags.json {
        return Ok(writeln!(out, "{:#}", document(&ova, reader.compression()))?);
    }
    let version = ova.version();
    let compression = match reader.compression() {
        Some(compression) => format!(", compressed with {compression}"),
        None => String::new(),
    };
    let by = [
        &version.product_brand,
        &version.product_version,
        &version.hostname,
        &version.date,
    ];
    let by: Vec<_> = by
        .into_iter()
        .filter(|text| !text.is_empty())
        .map(|text| Printable(text).to_string())
        .collect();
    writeln!(
        out,
        "{}, export version {}{compression}",
        by.join(" "),
        version.export_vsn
    )?;
    for vm in ova.vms() {
        writeln!(out, "\n{} ({})", Printable(&vm.name_label), Printable(&vm.power_state))?;
        for disk in &vm.disks {
            let size = disk.virtual_size.map(|size| Size(size).to_string()).unwrap_or_default();
            let boot = if disk.bootable { "  boots" } else { "" };
            writeln!(
                out,
                "  {:>3}  {size:>10}  {:<8}  {}{boot}",
                Printable(&disk.userdevice),
                Printable(&disk.id),
                Printable(&disk.name_label),
            )?;
        }
    }
    Ok(())
}

fn document(ova: &Ova, compression: Option<Compression>) -> Value {
    let version = ova.version();
    json!({
        "compression": compression.map(|compression| compression.to_string()),
        "hostname": version.hostname,
        "date": version.date,
        "product_brand": version.product_brand,
        "product_version": version.product_version,
        "export_vsn": version.export_vsn,
        "vms": ova.vms().iter().map(vm).collect::<Vec<_>>(),
    })
}

fn vm(vm: &Vm) -> Value {
    json!({
        "name": vm.name_label,
        "uuid": vm.uuid,
        "power_state": vm.power_state,
        "disks": vm.disks.iter().map(disk).collect::<Vec<_>>(),
    })
}

fn disk(disk: &VmDisk) -> Value {
    json!({
        "position": disk.userdevice,
        "folder": disk.id,
        "name": disk.name_label,
        "virtual_size": disk.virtual_size,
        "bootable": disk.bootable,
        "sr": disk.sr_name,
    })
}
