//! What would be done.

use std::io::{self, Write as _};
use std::process::ExitCode;

use vhd_mbr::Size;
use xenapi_examples::{Pool, Printable};

use crate::file::{Block, Environment};
use crate::machine::Machine;
use crate::steps::Step;
use crate::targets::look_up;

pub(crate) async fn run(pool: &Pool, environment: &Environment) -> anyhow::Result<ExitCode> {
    let (_, new) = pool.unless_interrupted(look_up(pool, environment)).await?;
    let vms = pool.unless_interrupted(pool.vms().all_records()).await?;
    let there = Machine::all(&vms, &environment.name);
    let mut out = io::stdout();
    for network in &new {
        writeln!(
            out,
            "network {}: VLAN {} on {}",
            Printable(&network.name),
            network.vlan,
            Printable(&network.device)
        )?;
    }
    for block in &environment.blocks {
        for name in block.machines() {
            let machine = there.iter().find(|machine| machine.name == name);
            let done = machine.and_then(Machine::done);
            let steps = match done {
                Some(done) => Step::after(block, done),
                None => Step::of(block),
            };
            let mut plan = Vec::new();
            match (machine, done) {
                (Some(_), None) => plan.push(format!("destroy what is left of it, {}", make(block))),
                (None, _) => plan.push(make(block)),
                (Some(_), Some(_)) => {}
            }
            plan.extend(steps.into_iter().map(|step| describe(step, block)));
            let plan = match plan.is_empty() {
                true => "is ready".to_owned(),
                false => plan.join(", "),
            };
            writeln!(out, "{}: {}", Printable(&name), Printable(&plan))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn make(block: &Block) -> String {
    match &block.sr {
        Some(sr) => format!("copy {:?} to {sr:?}", block.template),
        None => format!("clone {:?}", block.template),
    }
}

fn describe(step: Step, block: &Block) -> String {
    let size = |bytes: i64| Size(bytes.unsigned_abs()).to_string();
    match step {
        Step::Configure => {
            let cpus = block.cpus.map(|cpus| format!("{cpus} CPUs"));
            let memory = block.memory.map(|memory| size(memory.0));
            let boot = block.boot.as_ref().map(|order| format!("boot order {order}"));
            let xenstore =
                (!block.xenstore.is_empty()).then(|| format!("{} values for the guest", block.xenstore.len()));
            let parts: Vec<_> = [cpus, memory, boot, xenstore].into_iter().flatten().collect();
            parts.join(", ")
        }
        Step::Disks => {
            let sizes: Vec<_> = block.disks.iter().map(|disk| size(disk.size.0)).collect();
            format!("disks of {}", sizes.join(" and "))
        }
        Step::Nics => {
            let networks: Vec<_> = block.nics.iter().map(|nic| nic.network.as_str()).collect();
            format!("NICs on {}", networks.join(" and "))
        }
        Step::Iso => format!("insert {}", block.iso.as_deref().unwrap_or_default()),
        Step::Start => "start".to_owned(),
        Step::Address => format!("wait {} s for its address", block.address.unwrap_or_default()),
        Step::Run => format!(
            "run {:?}",
            block.run.as_ref().map(|run| run.command.as_str()).unwrap_or_default()
        ),
        Step::Snapshot => format!("snapshot {:?}", block.snapshot.as_deref().unwrap_or_default()),
    }
}
