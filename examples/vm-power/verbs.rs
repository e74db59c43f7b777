//! What is done with VMs that obey.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use xenapi::vm::PowerState;
use xenapi::{Client, Error, Ref, Result, Vm};
use xenapi_examples::{Batch, Chosen, Job, Pool, Selection};

#[derive(Args)]
pub(crate) struct Flags {
    #[command(flatten)]
    vms: Selection,
    #[command(flatten)]
    batch: Batch,
    /// One after the other, in the order in which they are named
    #[arg(long)]
    in_order: bool,
    /// Wait so many seconds between one VM and the next; goes with --in-order
    #[arg(long, value_name = "SECONDS", default_value_t = 0, requires = "in_order")]
    delay: u64,
}

#[derive(Args)]
pub(crate) struct StopFlags {
    #[command(flatten)]
    pub(crate) common: Flags,
    /// Do not ask the guest: what it has not written is lost
    #[arg(long, conflicts_with = "timeout")]
    hard: bool,
    /// Give the guest so many seconds; then it is a failure, and the VM still runs
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    timeout: u64,
}

impl StopFlags {
    pub(crate) fn shutdown(&self) -> Verb {
        match self.hard {
            true => Verb::HardShutdown,
            false => Verb::CleanShutdown(Duration::from_secs(self.timeout)),
        }
    }

    pub(crate) fn reboot(&self) -> Verb {
        match self.hard {
            true => Verb::HardReboot,
            false => Verb::CleanReboot(Duration::from_secs(self.timeout)),
        }
    }
}

#[derive(Clone, Copy)]
pub(crate) enum Verb {
    Start,
    StartPaused,
    Pause,
    Unpause,
    Suspend,
    Resume,
    CleanShutdown(Duration),
    HardShutdown,
    CleanReboot(Duration),
    HardReboot,
}

impl Verb {
    fn words(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::StartPaused => "start, paused",
            Self::Pause => "pause",
            Self::Unpause => "unpause",
            Self::Suspend => "suspend",
            Self::Resume => "resume",
            Self::CleanShutdown(_) => "shut down",
            Self::HardShutdown => "pull the plug",
            Self::CleanReboot(_) => "reboot",
            Self::HardReboot => "reset",
        }
    }

    /// The state that the VM is in afterwards. One that is in it already is left alone.
    fn goal(self) -> Option<PowerState> {
        match self {
            Self::Start | Self::Unpause | Self::Resume => Some(PowerState::Running),
            Self::StartPaused | Self::Pause => Some(PowerState::Paused),
            Self::Suspend => Some(PowerState::Suspended),
            Self::CleanShutdown(_) | Self::HardShutdown => Some(PowerState::Halted),
            Self::CleanReboot(_) | Self::HardReboot => None,
        }
    }

    async fn apply(self, client: &Client, vm: Ref<Vm>) -> Result<()> {
        let vm = client.vm(vm);
        match self {
            Self::Start => vm.start(false, false).await,
            Self::StartPaused => vm.start(true, false).await,
            Self::Pause => vm.pause().await,
            Self::Unpause => vm.unpause().await,
            Self::Suspend => vm.suspend().await,
            Self::Resume => vm.resume(false, false).await,
            Self::CleanShutdown(limit) => vm.clean_shutdown().timeout(limit).await,
            Self::HardShutdown => vm.hard_shutdown().await,
            Self::CleanReboot(limit) => vm.clean_reboot().timeout(limit).await,
            Self::HardReboot => vm.hard_reboot().await,
        }
    }
}

pub(crate) async fn all(pool: &Pool, verb: Verb, flags: &Flags) -> anyhow::Result<ExitCode> {
    let vms = pool.unless_interrupted(pool.vms().all_records()).await?;
    let chosen = flags.vms.choose(&vms)?;
    let (first, delay) = (chosen[0].vm, Duration::from_secs(flags.delay));
    let job = |vm: Ref<Vm>, chosen: &Chosen| {
        let client = (**pool).clone();
        let state = chosen.record.power_state.clone();
        let waits = delay > Duration::ZERO && vm != first;
        Job {
            plan: verb.words().to_owned(),
            work: Box::pin(async move {
                if waits {
                    tokio::time::sleep(delay).await;
                }
                if verb.goal().is_some_and(|goal| goal == state) {
                    return Ok(format!("was {} already", state.as_str().to_lowercase()));
                }
                let outcome = verb.apply(&client, vm).await;
                if let Err(Error::Timeout(late)) = &outcome
                    && let Some(task) = late.task()
                {
                    // The guest would still obey, when nobody expects it any more.
                    let _ = client.task(task).cancel().now().await;
                }
                outcome?;
                let state = client.vm(vm).power_state().await?;
                Ok(state.as_str().to_lowercase())
            }),
        }
    };
    let batch = if flags.in_order {
        flags.batch.one_by_one()
    } else {
        flags.batch
    };
    batch.run(pool, chosen, job).await
}
