//! A VM that hangs.

use std::io::{self, BufRead, IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use xenapi::vm::PowerState;
use xenapi::{Client, Ref, Result, Task, Vm, VmRecord};
use xenapi_examples::{Pool, Printable, named, note};

#[derive(Args)]
pub(crate) struct Flags {
    /// The VM, by name or UUID
    #[arg(value_name = "VM")]
    vm: String,
    /// Take every step without asking
    #[arg(long)]
    yes: bool,
    /// Only look, and say what would be tried
    #[arg(long)]
    dry_run: bool,
    /// How long a step may take, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    timeout: u64,
}

/// What can be done, the gentlest first.
#[derive(Clone, Copy)]
enum Step {
    CancelTasks,
    HardShutdown,
    ResetState,
    RestartToolstack,
}

impl Step {
    const ALL: [Self; 4] = [
        Self::CancelTasks,
        Self::HardShutdown,
        Self::ResetState,
        Self::RestartToolstack,
    ];

    fn says(self) -> &'static str {
        match self {
            Self::CancelTasks => "cancel the tasks that hold the VM; they stop when they next look",
            Self::HardShutdown => "pull the plug: what the guest has not written is lost",
            Self::ResetState => {
                "have the pool believe that the VM is halted; if it still runs and is started again, two VMs write \
                 the same disks"
            }
            Self::RestartToolstack => {
                "restart the toolstack of the VM's host: VMs go on running, but its tasks end and it cannot be reached \
                 for a minute"
            }
        }
    }

    async fn take(self, client: &Client, vm: Ref<Vm>, record: &VmRecord, limit: Duration) -> Result<()> {
        match self {
            Self::CancelTasks => {
                for (task, _) in holding(record) {
                    client.task(task).cancel().now().await?;
                }
                settle(client, vm, limit).await
            }
            Self::HardShutdown => client.vm(vm).hard_shutdown().timeout(limit).await,
            Self::ResetState => client.vm(vm).power_state_reset().now().await,
            Self::RestartToolstack => {
                client.host(record.resident_on).restart_agent().now().await?;
                settle(client, vm, limit).await
            }
        }
    }

    /// Whether it makes sense for a VM in this state.
    fn applies(self, record: &VmRecord) -> bool {
        match self {
            Self::CancelTasks => !record.current_operations.is_empty(),
            Self::HardShutdown | Self::ResetState => record.power_state != PowerState::Halted,
            Self::RestartToolstack => !record.resident_on.is_null(),
        }
    }
}

/// The tasks that hold a VM, with what they do.
fn holding(record: &VmRecord) -> Vec<(Ref<Task>, String)> {
    let operations = record.current_operations.iter();
    let known = operations.filter_map(|(task, operation)| Some((task.parse().ok()?, operation.as_str().to_owned())));
    known.collect()
}

/// Waits until nothing holds the VM any more, or the time is over.
async fn settle(client: &Client, vm: Ref<Vm>, limit: Duration) -> Result<()> {
    let free = async {
        while !client.vm(vm).current_operations().await?.is_empty() {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        Ok(())
    };
    tokio::time::timeout(limit, free).await.unwrap_or(Ok(()))
}

pub(crate) async fn run(pool: &Pool, flags: &Flags) -> anyhow::Result<ExitCode> {
    let vms = pool.unless_interrupted(pool.vms().all_records()).await?;
    let (vm, _) = named(&vms, &flags.vm)?;
    let limit = Duration::from_secs(flags.timeout);
    let mut out = io::stdout();
    for step in Step::ALL {
        let record = pool.unless_interrupted(pool.vm(vm).record()).await?;
        show(pool, &record).await?;
        if is_free(&record) {
            writeln!(out, "nothing holds it")?;
            return Ok(ExitCode::SUCCESS);
        }
        if !step.applies(&record) {
            continue;
        }
        if flags.dry_run {
            writeln!(out, "would {}", step.says())?;
            continue;
        }
        if !flags.yes && !agreed(step)? {
            continue;
        }
        note(format!("now: {}", step.says()));
        if let Err(error) = pool.unless_interrupted(step.take(pool, vm, &record, limit)).await {
            if pool.is_interrupted() {
                return Err(error);
            }
            writeln!(out, "that did not help: {}", Printable(&format!("{error:#}")))?;
        }
    }
    let record = pool.unless_interrupted(pool.vm(vm).record()).await?;
    if flags.dry_run {
        return Ok(ExitCode::SUCCESS);
    }
    show(pool, &record).await?;
    Ok(if is_free(&record) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Halted, and nothing holds it: it can be started.
fn is_free(record: &VmRecord) -> bool {
    record.power_state == PowerState::Halted && record.current_operations.is_empty()
}

async fn show(pool: &Pool, record: &VmRecord) -> anyhow::Result<()> {
    let mut out = io::stdout();
    let state = record.power_state.as_str().to_lowercase();
    write!(out, "{} is {state}", Printable(&record.name_label))?;
    if !record.resident_on.is_null() {
        let host = pool
            .unless_interrupted(pool.host(record.resident_on).name_label())
            .await?;
        write!(out, " on {}, domain {}", Printable(&host), record.domid)?;
    }
    writeln!(out)?;
    for (task, operation) in holding(record) {
        // It may end while it is looked at.
        let about = match pool.task(task).record().await {
            Ok(task) => format!(
                "{} ({:.0} %), since {}",
                Printable(&task.name_label),
                task.progress * 100.0,
                task.created
            ),
            Err(_) => "by a task that is gone".to_owned(),
        };
        writeln!(out, "  {operation}: {about}")?;
    }
    Ok(())
}

/// Asks on the terminal; without one, nobody agrees.
fn agreed(step: Step) -> anyhow::Result<bool> {
    if !io::stdin().is_terminal() {
        note(format!(
            "not done, for nobody can be asked (--yes does it): {}",
            step.says()
        ));
        return Ok(false);
    }
    write!(io::stderr(), "{}\nDo that? [y/N] ", step.says())?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(answer.trim().eq_ignore_ascii_case("y"))
}
