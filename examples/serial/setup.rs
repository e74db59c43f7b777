//! A port that can be reached, for VMs.

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;
use serial_link::live::{change, changed, probe, probed, qmp_socket};
use serial_link::setup::{Address, Form, Origin, Pending, Setting, Socket};
use xenapi::vm::PowerState;
use xenapi::{Client, Ref, Vm};
use xenapi_examples::{Batch, Chosen, Pool, Selection, Whereabouts};

use crate::Ways;

/// It takes a pool administrator, and a VM takes it when it is started next: shut down and start one that runs.
#[derive(Args)]
pub(crate) struct Flags {
    #[command(flatten)]
    vms: Selection,
    /// What QEMU gets behind -serial, in place of a socket of the host for each VM
    #[arg(long, value_name = "FORM")]
    form: Option<Form>,
    /// Where the sockets are: a folder that every host has
    #[arg(long, value_name = "FOLDER", default_value = "/run", conflicts_with = "form")]
    folder: String,
    /// Also a form that keeps VMs from starting or freezes them
    #[arg(long)]
    force: bool,
    /// For experts: move the ports of VMs that run now, too. There is no way back until they are shut down and started
    #[arg(long, conflicts_with = "form")]
    live: bool,
    #[command(flatten)]
    batch: Batch,
}

pub(crate) async fn run(flags: &Flags, ways: &Ways<'_>) -> anyhow::Result<ExitCode> {
    ways.connection
        .run("serial", async |pool: &Pool| {
            let vms = pool.unless_interrupted(pool.vms().all_records()).await?;
            let chosen = flags.vms.choose(&vms)?;
            let forms = chosen.iter().map(|chosen| form(flags, &chosen.record.uuid));
            // One that is refused is refused before the first VM is changed.
            forms.collect::<anyhow::Result<Vec<_>>>()?;
            let hosts = Whereabouts::new(pool, &ways.sessions);
            let job = |vm: Ref<Vm>, chosen: &Chosen| {
                let change = Change::new(flags, pool, &hosts, vm, chosen);
                xenapi_examples::Job {
                    plan: change.plan(),
                    work: Box::pin(change.make()),
                }
            };
            flags.batch.run(pool, chosen, job).await
        })
        .await
}

/// What a VM gets. The warnings about it are part of its description.
fn form(flags: &Flags, uuid: &str) -> anyhow::Result<Form> {
    let form = match &flags.form {
        Some(form) => form.clone(),
        None => Form::recommended(&flags.folder, uuid)?,
    };
    if !flags.force {
        form.check()
            .with_context(|| format!("{form}; --force sets it all the same"))?;
    }
    Ok(form)
}

struct Change {
    client: Client,
    hosts: Whereabouts,
    vm: Ref<Vm>,
    before: Setting,
    form: anyhow::Result<Form>,
    live: bool,
}

impl Change {
    fn new(flags: &Flags, pool: &Pool, hosts: &Whereabouts, vm: Ref<Vm>, chosen: &Chosen) -> Self {
        Self {
            client: Client::clone(pool),
            hosts: hosts.clone(),
            vm,
            before: Setting::of(&chosen.record.platform, &chosen.record.other_config),
            form: form(flags, &chosen.record.uuid),
            live: flags.live,
        }
    }

    fn plan(&self) -> String {
        let Ok(form) = &self.form else { return String::new() };
        let mut plan = format!("set {form} in place of {}", self.before.value);
        for trap in form.traps() {
            plan = format!("{plan}; {trap}");
        }
        plan
    }

    async fn make(self) -> anyhow::Result<String> {
        let form = self.form?;
        let value = form.to_string();
        let vm = self.client.vm(self.vm);
        // Of two tools at once one fails here, and neither takes away what others have set.
        vm.remove_from_platform(Setting::KEY).await?;
        if let Err(error) = vm.add_to_platform(Setting::KEY, &value).await {
            if self.before.origin == Origin::Platform {
                let before = &self.before.value;
                let restored = vm.add_to_platform(Setting::KEY, before).await;
                restored.with_context(|| format!("{error}; and what was there before, {before}, is gone"))?;
            }
            return Err(error.into());
        }
        let record = vm.record().await?;
        let set = match record.power_state {
            PowerState::Halted => format!("{value}, from its next start on"),
            PowerState::Suspended => format!("{value}, once it is resumed, shut down and started"),
            _ if self.live => {
                let domain = u32::try_from(record.domid).context("the pool tells no domain of it")?;
                let dom0 = self.hosts.session(record.resident_on).await?;
                let Form::Socket(Socket {
                    address: Address::Unix { path },
                    ..
                }) = &form
                else {
                    bail!("only a unix socket can be had without a start");
                };
                let socket = qmp_socket(domain);
                let ask = |words: Vec<String>| {
                    let mut words = words.into_iter();
                    let program = words.next().unwrap_or_default();
                    dom0::Command::new(program).args(words)
                };
                probed(&dom0.run(&ask(probe(&socket))).await?)?;
                let live = changed(&dom0.run(&ask(change(&socket, path)?)).await?)?;
                format!("{value}, and now already: {}", live.port)
            }
            _ => match Pending::of(&value, Some(&self.before.value)) {
                Pending::Nothing => format!("{value}, as it was"),
                _ => format!("{value}, once it is shut down and started"),
            },
        };
        Ok(set)
    }
}
