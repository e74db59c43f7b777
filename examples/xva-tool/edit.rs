//! An archive with other metadata.

use std::path::PathBuf;

use clap::Args;
use vhd_mbr::Size;
use xenapi_examples::{Meter, note};
use xva::edit::{EditError, OvaEditor, repack_with};

use crate::measured::Measured;
use crate::pack::mebibytes;

#[derive(Args)]
pub(crate) struct Flags {
    /// The archive, plain or compressed; - reads standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The edited archive, not compressed; it must not be there yet
    #[arg(value_name = "NEW")]
    new: PathBuf,
    /// The VM's new name
    #[arg(long)]
    name: Option<String>,
    /// Memory in MiB
    #[arg(long, value_name = "MiB", value_parser = mebibytes())]
    memory: Option<u64>,
    /// Virtual processors
    #[arg(long, value_name = "COUNT")]
    vcpus: Option<u32>,
    /// The MAC address of the VM's next interface
    #[arg(long = "mac", value_name = "ADDRESS")]
    macs: Vec<String>,
    /// Any field: CLASS:ID:FIELD=VALUE, such as network:Ref:7:bridge=xenbr1
    #[arg(long = "set", value_name = "FIELD", value_parser = field)]
    fields: Vec<Field>,
}

#[derive(Clone)]
struct Field {
    class: String,
    id: String,
    name: String,
    value: String,
}

/// Ids have colons in them.
fn field(text: &str) -> Result<Field, String> {
    let parts = || {
        let (place, value) = text.split_once('=')?;
        let (class, place) = place.split_once(':')?;
        let (id, name) = place.rsplit_once(':')?;
        Some((class, id, name, value))
    };
    let (class, id, name, value) = parts().ok_or("expected CLASS:ID:FIELD=VALUE")?;
    Ok(Field {
        class: class.to_owned(),
        id: id.to_owned(),
        name: name.to_owned(),
        value: value.to_owned(),
    })
}

pub(crate) fn run(flags: &Flags) -> anyhow::Result<()> {
    let meter = Meter::new(crate::total(&flags.file));
    let input = Measured::new(crate::stream(&flags.file)?, meter);
    let mut written = 0;
    crate::pack::complete(&flags.new, |output| {
        written = repack_with(input, output, |editor| edit(flags, editor))?;
        Ok(())
    })?;
    note(format!("{} written", Size(written)));
    Ok(())
}

/// An export has one VM; only metadata alone can have more, of which the first counts.
fn edit(flags: &Flags, editor: &mut OvaEditor) -> Result<(), EditError> {
    let vm = nth(editor, "VM", 0)?;
    if let Some(name) = &flags.name {
        editor.rename_vm(&vm, name)?;
    }
    if let Some(memory) = flags.memory {
        editor.set_memory(&vm, memory << 20)?;
    }
    if let Some(count) = flags.vcpus {
        editor.set_vcpus(&vm, count)?;
    }
    for (position, mac) in flags.macs.iter().enumerate() {
        let vif = nth(editor, "VIF", position)?;
        editor.set_mac(&vif, mac)?;
    }
    for field in &flags.fields {
        editor.set(&field.class, &field.id, &field.name, &field.value)?;
    }
    Ok(())
}

/// The id of an object by its place among those of its class.
fn nth(editor: &OvaEditor, class: &str, place: usize) -> Result<String, EditError> {
    let known = editor.ids(class)?;
    known.get(place).cloned().ok_or_else(|| EditError::NoObject {
        class: class.to_owned(),
        id: format!("number {place}"),
        known,
    })
}
