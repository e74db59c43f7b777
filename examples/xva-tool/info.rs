//! What is in an archive.

use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use serde_json::{Value, json};
use vhd_mbr::Size;
use xenapi_examples::Printable;
use xva::ova::{Object, Ova, Vm, VmDisk};
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
    let objects = ova.objects();
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
        for interface in interfaces(&objects, vm) {
            writeln!(
                out,
                "  {:>3}  {:>10}  {:<8}  {}  {} ({})",
                Printable(interface.device),
                "interface",
                Printable(interface.id),
                Printable(interface.mac),
                Printable(interface.network_name),
                Printable(interface.network),
            )?;
        }
    }
    let storage: Vec<_> = objects.iter().filter(|object| object.class == "SR").collect();
    if !storage.is_empty() {
        writeln!(out)?;
    }
    for sr in storage {
        writeln!(out, "SR {} ({})", Printable(text(sr, "name_label")), Printable(&sr.id))?;
    }
    Ok(())
}

/// An interface of a VM.
struct Interface<'o> {
    id: &'o str,
    device: &'o str,
    mac: &'o str,
    network: &'o str,
    network_name: &'o str,
}

fn interfaces<'o>(objects: &'o [Object], vm: &Vm) -> Vec<Interface<'o>> {
    let of_vm = |object: &&Object| object.class == "VIF" && text(object, "VM") == vm.id;
    let interface = |object: &'o Object| {
        let network = text(object, "network");
        let named = |object: &&Object| object.class == "network" && object.id == network;
        Interface {
            id: &object.id,
            device: text(object, "device"),
            mac: text(object, "MAC"),
            network,
            network_name: objects
                .iter()
                .find(named)
                .map_or("", |object| text(object, "name_label")),
        }
    };
    objects.iter().filter(of_vm).map(interface).collect()
}

/// A field of an object; nothing where it has none.
fn text<'o>(object: &'o Object, field: &str) -> &'o str {
    object
        .record
        .get(field)
        .and_then(xva::ova::Value::as_str)
        .unwrap_or_default()
}

fn document(ova: &Ova, compression: Option<Compression>) -> Value {
    let version = ova.version();
    let objects = ova.objects();
    let storage = objects.iter().filter(|object| object.class == "SR");
    let storage: Vec<_> = storage
        .map(|sr| json!({ "id": sr.id, "name": text(sr, "name_label") }))
        .collect();
    json!({
        "compression": compression.map(|compression| compression.to_string()),
        "hostname": version.hostname,
        "date": version.date,
        "product_brand": version.product_brand,
        "product_version": version.product_version,
        "export_vsn": version.export_vsn,
        "vms": ova.vms().iter().map(|machine| vm(machine, &objects)).collect::<Vec<_>>(),
        "srs": storage,
    })
}

fn vm(vm: &Vm, objects: &[Object]) -> Value {
    let interface = |interface: Interface<'_>| {
        json!({
            "id": interface.id,
            "position": interface.device,
            "mac": interface.mac,
            "network": interface.network,
            "network_name": interface.network_name,
        })
    };
    json!({
        "id": vm.id,
        "name": vm.name_label,
        "uuid": vm.uuid,
        "power_state": vm.power_state,
        "disks": vm.disks.iter().map(disk).collect::<Vec<_>>(),
        "interfaces": interfaces(objects, vm).into_iter().map(interface).collect::<Vec<_>>(),
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
