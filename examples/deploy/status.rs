//! How far each machine is.

use std::io::{self, Write as _};
use std::process::ExitCode;

use serde_json::{Value, json};
use xenapi_examples::{Pool, Printable, guest_address};

use crate::file::Environment;
use crate::machine::Machine;
use crate::steps::Step;

pub(crate) async fn run(pool: &Pool, environment: &Environment, as_json: bool) -> anyhow::Result<ExitCode> {
    let all = async { tokio::try_join!(pool.vms().all_records(), pool.all_vm_guest_metrics().all_records()) };
    let (vms, metrics) = pool.unless_interrupted(all).await?;
    let there = Machine::all(&vms, &environment.name);
    let mut out = io::stdout();
    let mut documents = Vec::new();
    let mut all_ready = true;
    for block in &environment.blocks {
        for name in block.machines() {
            let machine = there.iter().find(|machine| machine.name == name);
            let left = machine.and_then(Machine::done).map(|done| Step::after(block, done));
            let is_ready = left.as_ref().is_some_and(Vec::is_empty);
            all_ready &= is_ready;
            let state = machine.map_or("absent", |machine| machine.record.power_state.as_str());
            let address = machine
                .and_then(|machine| metrics.get(&machine.record.guest_metrics))
                .and_then(|metrics| guest_address(&metrics.networks));
            let left: Vec<_> = left
                .unwrap_or_else(|| Step::of(block))
                .into_iter()
                .map(Step::name)
                .collect();
            if as_json {
                documents.push(json!({
                    "machine": name,
                    "uuid": machine.map(|machine| &machine.record.uuid),
                    "power_state": machine.map(|machine| machine.record.power_state.as_str()),
                    "address": address,
                    "ready": is_ready,
                    "left": left,
                }));
                continue;
            }
            let progress = match is_ready {
                true => "ready".to_owned(),
                false => format!("left: {}", left.join(", ")),
            };
            let address = address.map(|address| address.to_string()).unwrap_or_default();
            writeln!(out, "{:<24} {state:<10} {address:<16} {progress}", Printable(&name))?;
        }
    }
    if as_json {
        writeln!(out, "{:#}", Value::Array(documents))?;
    }
    Ok(ExitCode::from(u8::from(!all_ready)))
}
