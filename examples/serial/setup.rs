//! A port that can be reached, for VMs.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use dom0::{Command, Dom0};
use serial_link::live::{change, changed, probe, probed, qmp_socket};
use serial_link::setup::{Address, Form, Origin, Pending, Role, Setting, Socket};
use xenapi::vm::PowerState;
use xenapi::{Client, Ref, Vm};
use xenapi_examples::{Batch, Chosen, Pool, Selection, Whereabouts, note};

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
            let forms = forms.collect::<anyhow::Result<Vec<_>>>()?;
            ensure_own(flags, &forms)?;
            warn_of_folder(&forms);
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

/// Two VMs of one host cannot have the same socket: the second would not start.
fn ensure_own(flags: &Flags, forms: &[Form]) -> anyhow::Result<()> {
    let is_bound = |form: &Form| {
        matches!(
            form,
            Form::Socket(Socket {
                role: Role::Server { .. },
                ..
            })
        )
    };
    let is_shared = flags.form.as_ref().is_some_and(is_bound) && forms.len() > 1;
    ensure!(
        !is_shared || flags.force,
        "{} VMs would have one socket, and of those on one host only the first would start: say --folder in place of --form, \
         or set them one by one; --force sets it all the same",
        forms.len()
    );
    Ok(())
}

/// QEMU makes the socket when the VM starts, and no folder for it.
fn warn_of_folder(forms: &[Form]) {
    let folders = forms.iter().filter_map(|form| match form {
        Form::Socket(Socket {
            address: Address::Unix { path },
            role: Role::Server { .. },
            ..
        }) => Path::new(path).parent(),
        _ => None,
    });
    let unsure: BTreeSet<_> = folders
        .filter(|folder| {
            !["/run", "/var/run", "/tmp"]
                .iter()
                .any(|known| Path::new(known) == *folder)
        })
        .collect();
    for folder in unsure {
        note(format!(
            "{} has to be there on a host whenever such a VM starts, or it does not start; what is below /run is gone when \
             the host was started anew.",
            folder.display()
        ));
    }
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
        let live = match self.live && !matches!(vm.power_state().await?, PowerState::Halted | PowerState::Suspended) {
            true => Some(Live::probe(&self.client, &self.hosts, self.vm, &form).await?),
            false => None,
        };
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
            _ => match (live, Pending::of(&value, Some(&self.before.value))) {
                (Some(live), _) => format!("{value}, and now already: {}", live.change().await?),
                (None, Pending::Nothing) => format!("{value}, as it was"),
                (None, _) => format!("{value}, once it is shut down and started"),
            },
        };
        Ok(set)
    }
}

/// A port of a VM that runs, which can be moved.
struct Live {
    dom0: Dom0,
    socket: String,
    path: String,
}

impl Live {
    /// Makes sure of it, before anything is changed.
    async fn probe(client: &Client, hosts: &Whereabouts, vm: Ref<Vm>, form: &Form) -> anyhow::Result<Self> {
        let Form::Socket(Socket {
            address: Address::Unix { path },
            ..
        }) = form
        else {
            bail!("only a unix socket can be had without a start");
        };
        let record = client.vm(vm).record().await?;
        let domain = u32::try_from(record.domid).context("the pool tells no domain of it")?;
        let dom0 = hosts.session(record.resident_on).await?;
        let socket = qmp_socket(domain);
        probed(&dom0.run(&command(probe(&socket))).await?)?;
        Ok(Self {
            dom0,
            socket,
            path: path.clone(),
        })
    }

    async fn change(self) -> anyhow::Result<String> {
        let answer = self.dom0.run(&command(change(&self.socket, &self.path)?)).await?;
        Ok(changed(&answer)?.port.to_string())
    }
}

fn command(words: Vec<String>) -> Command {
    let mut words = words.into_iter();
    let program = words.next().unwrap_or_default();
    Command::new(program).args(words)
}
