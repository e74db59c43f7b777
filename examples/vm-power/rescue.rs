//! A VM that hangs.

use std::io::{self, BufRead, IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use tokio::time::{Instant, sleep, timeout};
use xenapi::vm::PowerState;
use xenapi::{Client, Error, Ref, Result, Task, Vm, VmRecord};
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

/// How often is looked.
const STEP: Duration = Duration::from_millis(500);

/// How long a task gets to end that was cancelled.
const CANCELLING: Duration = Duration::from_secs(10);

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
                for (task, operation) in holding(record) {
                    // One that cannot be cancelled keeps none of the others.
                    if let Err(error) = client.task(task).cancel().now().await {
                        note(format!("{operation}: {error}"));
                    }
                }
                settle(client, vm, limit).await;
                Ok(())
            }
            Self::HardShutdown => {
                let outcome = client.vm(vm).hard_shutdown().timeout(limit).await;
                if let Err(Error::Timeout(late)) = &outcome
                    && let Some(task) = late.task()
                {
                    // It would hold the VM against the next step.
                    let _ = client.task(task).cancel().now().await;
                    settle(client, vm, CANCELLING).await;
                }
                outcome
            }
            Self::ResetState => client.vm(vm).power_state_reset().now().await,
            Self::RestartToolstack => {
                client.host(record.resident_on).restart_agent().now().await?;
                settle(client, vm, limit).await;
                Ok(())
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

/// Waits until the pool answers and nothing holds the VM any more, or the time is over. A toolstack that starts anew
/// refuses everything for a while.
async fn settle(client: &Client, vm: Ref<Vm>, limit: Duration) {
    let free = async {
        // Before it has ended it still answers.
        sleep(STEP).await;
        while !client
            .vm(vm)
            .current_operations()
            .await
            .is_ok_and(|held| held.is_empty())
        {
            sleep(STEP).await;
        }
    };
    // What is so after that is looked at anew.
    let _ = timeout(limit, free).await;
}

/// The VM as it is, of a pool that may be starting.
async fn look(client: &Client, vm: Ref<Vm>, limit: Duration) -> Result<VmRecord> {
    let end = Instant::now() + limit;
    loop {
        match client.vm(vm).record().await {
            Err(_) if Instant::now() < end => sleep(STEP).await,
            looked => return looked,
        }
    }
}

pub(crate) async fn run(pool: &Pool, flags: &Flags) -> anyhow::Result<ExitCode> {
    let vms = pool.unless_interrupted(pool.vms().all_records()).await?;
    let (vm, _) = named(&vms, &flags.vm)?;
    let limit = Duration::from_secs(flags.timeout);
    let mut out = io::stdout();
    let mut was_held = false;
    for step in Step::ALL {
        let record = pool.unless_interrupted(look(pool, vm, limit)).await?;
        show(pool, &record).await?;
        if is_free(&record, was_held) {
            writeln!(out, "nothing holds it")?;
            return Ok(ExitCode::SUCCESS);
        }
        was_held |= !record.current_operations.is_empty();
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
    if flags.dry_run {
        return Ok(ExitCode::SUCCESS);
    }
    let record = pool.unless_interrupted(look(pool, vm, limit)).await?;
    show(pool, &record).await?;
    Ok(if is_free(&record, was_held) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Nothing holds it, and it is halted or was only held: then it may go on as it is.
fn is_free(record: &VmRecord, was_held: bool) -> bool {
    record.current_operations.is_empty() && (was_held || record.power_state == PowerState::Halted)
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
