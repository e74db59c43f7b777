//! Where VMs' ports go.

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};
use serial_link::setup::{Form, Origin, Pending, Setting};
use xenapi::VmRecord;
use xenapi_examples::{Chosen, Pool, Printable, Selection, Whereabouts};

use crate::Ways;
use crate::running::running_setting;

#[derive(Args)]
pub(crate) struct Flags {
    /// VMs by name, UUID, pattern ('web-*') or tag (tag:lab); without any, all
    #[arg(value_name = "VM")]
    vms: Vec<String>,
    /// Ask the hosts what their QEMUs were given, to tell which VMs have to be shut down and started
    #[arg(long)]
    ask_hosts: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(flags: &Flags, ways: &Ways<'_>) -> anyhow::Result<ExitCode> {
    ways.connection
        .run("serial", async |pool: &Pool| {
            pool.unless_interrupted(list(pool, flags, ways)).await?;
            Ok(ExitCode::SUCCESS)
        })
        .await
}

async fn list(pool: &Pool, flags: &Flags, ways: &Ways<'_>) -> anyhow::Result<()> {
    let vms = pool.vms().all_records().await?;
    let wanted = match flags.vms.is_empty() {
        true => vec!["*".to_owned()],
        false => flags.vms.clone(),
    };
    let hosts = Whereabouts::new(pool, &ways.sessions);
    let mut out = io::stdout();
    let mut documents = Vec::new();
    if !flags.json {
        writeln!(out, "{:<24} {:<10} SERIAL PORT", "NAME", "STATE")?;
    }
    for Chosen { record, .. } in Selection::of(wanted).choose(&vms)? {
        let port = Port::of(&record, flags.ask_hosts.then_some(&hosts)).await;
        match flags.json {
            true => documents.push(port.document(&record)),
            false => port.print(&mut out, &record)?,
        }
    }
    if flags.json {
        writeln!(out, "{:#}", Value::Array(documents))?;
    }
    Ok(())
}

struct Port {
    setting: Setting,
    explained: String,
    traps: Vec<String>,
    /// What its start would change; none where nobody asked.
    pending: Option<anyhow::Result<Pending>>,
}

impl Port {
    async fn of(record: &VmRecord, hosts: Option<&Whereabouts>) -> Self {
        let setting = Setting::of(&record.platform, &record.other_config);
        let (explained, traps) = match setting.value.parse::<Form>() {
            Ok(form) => (form.explain(), form.traps().iter().map(ToString::to_string).collect()),
            Err(error) => ("nothing that QEMU is known to take".to_owned(), vec![error.to_string()]),
        };
        let pending = match hosts {
            Some(hosts) => Some(pending(record, hosts, &setting.value).await),
            None => None,
        };
        Self {
            setting,
            explained,
            traps,
            pending,
        }
    }

    fn print(&self, out: &mut impl io::Write, record: &VmRecord) -> io::Result<()> {
        writeln!(
            out,
            "{:<24} {:<10} {}",
            Printable(&record.name_label),
            record.power_state.as_str(),
            Printable(&self.setting.value)
        )?;
        let mut line = |text: &str| writeln!(out, "{:36}{}", "", Printable(text));
        line(&self.explained)?;
        for trap in &self.traps {
            line(&format!("! {trap}"))?;
        }
        match &self.pending {
            Some(Ok(Pending::Restart { running })) => {
                line(&format!("! it still has {running}, until it is shut down and started"))
            }
            Some(Err(error)) => line(&format!("! its host does not tell what it has now: {error:#}")),
            _ => Ok(()),
        }
    }

    fn document(&self, record: &VmRecord) -> Value {
        let running = match &self.pending {
            Some(Ok(Pending::Restart { running })) => Some(running.as_str()),
            Some(Ok(Pending::Nothing)) => Some(self.setting.value.as_str()),
            _ => None,
        };
        json!({
            "name": record.name_label,
            "uuid": record.uuid,
            "power_state": record.power_state.as_str(),
            "setting": self.setting.value,
            "origin": match self.setting.origin {
                Origin::Platform => "platform",
                Origin::OtherConfig => "other_config",
                Origin::Default => "default",
            },
            "does": self.explained,
            "traps": self.traps,
            "running": running,
            "restart_pending": self.pending.as_ref().and_then(|asked| asked.as_ref().ok()).map(|pending| {
                matches!(pending, Pending::Restart { .. })
            }),
        })
    }
}

async fn pending(record: &VmRecord, hosts: &Whereabouts, setting: &str) -> anyhow::Result<Pending> {
    if record.resident_on.is_null() {
        return Ok(Pending::AtStart);
    }
    let dom0 = hosts.session(record.resident_on).await?;
    let domain = u32::try_from(record.domid)?;
    let running = running_setting(&dom0, domain).await?;
    match running {
        Some(running) => Ok(Pending::of(setting, Some(&running))),
        None => anyhow::bail!("no QEMU of domain {domain} is found there"),
    }
}
