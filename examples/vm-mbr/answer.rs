//! The answer in words and as JSON.

use std::io::{self, Write};

use serde_json::{Value, json};
use vhd_mbr::Size;
use xenapi_examples::Printable;

use crate::peek::{Answer, Drive, Looked};

pub(crate) fn print_text(answer: &Answer) -> anyhow::Result<()> {
    let mut out = io::stdout();
    for looked in answer.passed.iter().chain([&answer.disk]) {
        writeln!(out, "{}, disk {}", Printable(&answer.vm), described(&looked.drive))?;
        match &looked.table {
            Ok(table) => {
                for line in table.to_string().lines() {
                    writeln!(out, "{}", Printable(line))?;
                }
            }
            Err(reason) => writeln!(out, "{reason}")?,
        }
    }
    if !answer.ahead.is_empty() {
        let ahead: Vec<_> = answer.ahead.iter().map(described).collect();
        writeln!(
            out,
            "not looked at: disk {}; --disk POSITION reads on",
            ahead.join(", disk ")
        )?;
    }
    writeln!(out, "{} read", Size(answer.bytes_read))?;
    Ok(())
}

fn described(drive: &Drive) -> String {
    let boots = if drive.boots { " (bootable)" } else { "" };
    format!("{} {:?}{boots}", Printable(&drive.position), drive.name)
}

pub(crate) fn print_json(answer: &Answer) -> anyhow::Result<()> {
    let mut document = looked(&answer.disk);
    document["vm"] = json!(answer.vm);
    document["passed"] = answer.passed.iter().map(looked).collect();
    document["not_looked_at"] = answer.ahead.iter().map(drive).collect();
    document["bytes_read"] = json!(answer.bytes_read);
    writeln!(io::stdout(), "{}", serde_json::to_string_pretty(&document)?)?;
    Ok(())
}

fn drive(drive: &Drive) -> Value {
    json!({ "position": drive.position, "name": drive.name, "size": drive.size, "bootable": drive.boots })
}

fn looked(looked: &Looked) -> Value {
    let table = match &looked.table {
        Ok(table) => table,
        Err(reason) => return json!({ "disk": drive(&looked.drive), "scheme": null, "reason": reason.to_string() }),
    };
    let partitions: Vec<_> = table
        .partitions()
        .iter()
        .map(|partition| {
            json!({
                "number": partition.number,
                "start": partition.start,
                "length": partition.len,
                "type": partition.partition_type().to_string(),
                "bootable": partition.is_bootable(),
                "name": partition.name(),
            })
        })
        .collect();
    json!({
        "disk": drive(&looked.drive),
        "scheme": if table.gpt().is_some() { "gpt" } else { "mbr" },
        "boot_code": table.boot_code().to_string(),
        "partitions": partitions,
        "not_read": table.unread().iter().map(ToString::to_string).collect::<Vec<_>>(),
        "warnings": table.warnings().iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}
