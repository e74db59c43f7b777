//! One job for many VMs, several at a time, with a line for each.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use futures_util::future::BoxFuture;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::json;
use xenapi::{Ref, Vm, bulk};

use crate::selection::Chosen;
use crate::{Pool, Printable, note};

/// How a job for many VMs is done.
#[derive(Args, Clone, Copy, Debug)]
pub struct Batch {
    /// How many VMs at a time
    #[arg(long, value_name = "COUNT", default_value_t = 8)]
    parallel: usize,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// What is to be done with a VM.
pub struct Job<'a> {
    /// What will be done, for `--dry-run`: "insert debian.iso".
    pub plan: String,
    /// Does it, and tells what came of it.
    pub work: BoxFuture<'a, anyhow::Result<String>>,
}

impl std::fmt::Debug for Job<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job").field("plan", &self.plan).finish_non_exhaustive()
    }
}

/// What came of a VM.
struct Outcome {
    name: String,
    uuid: String,
    result: anyhow::Result<String>,
}

impl Batch {
    /// Only one VM at a time.
    #[must_use]
    pub fn one_by_one(self) -> Self {
        Self { parallel: 1, ..self }
    }

    /// Whether only a plan is wanted.
    pub fn is_dry_run(&self) -> bool {
        self.dry_run
    }

    /// Does the job for each VM, and reports. One that fails stops none of the others; ctrl-c stops all.
    ///
    /// Answers with success where all went well, and with a failure (1) where one did not.
    ///
    /// # Errors
    /// Where it was interrupted, or standard output fails.
    pub async fn run<'a>(
        self,
        pool: &'a Pool,
        vms: Vec<Chosen>,
        job: impl Fn(Ref<Vm>, &Chosen) -> Job<'a>,
    ) -> anyhow::Result<ExitCode> {
        if self.dry_run {
            return self.plan(&vms, job);
        }
        let lines = MultiProgress::new();
        let count = vms.len();
        let work = vms.into_iter().map(|chosen| {
            let job = job(chosen.vm, &chosen);
            let lines = lines.clone();
            async move {
                let name = chosen.record.name_label;
                let line = lines.add(ProgressBar::new_spinner());
                line.set_style(
                    ProgressStyle::with_template("{spinner} {msg}")
                        .unwrap_or_else(|_| ProgressStyle::default_spinner()),
                );
                line.set_message(format!("{}: {}", Printable(&name), job.plan));
                line.enable_steady_tick(Duration::from_millis(100));
                let result = job.work.await;
                line.finish_and_clear();
                if !self.json {
                    let said = match &result {
                        Ok(done) => format!("{}: {done}", Printable(&name)),
                        Err(error) => format!("{}: failed: {}", Printable(&name), Printable(&format!("{error:#}"))),
                    };
                    lines.suspend(|| writeln!(io::stdout(), "{said}"))?;
                }
                let uuid = chosen.record.uuid;
                anyhow::Ok(Outcome { name, uuid, result })
            }
        });
        let all = bulk(work).concurrency(self.parallel).run();
        let outcomes = pool.unless_interrupted(async { anyhow::Ok(all.await) }).await?;
        let outcomes: Vec<Outcome> = outcomes.into_iter().collect::<anyhow::Result<_>>()?;
        let failed = outcomes.iter().filter(|outcome| outcome.result.is_err()).count();
        if self.json {
            let outcome = |outcome: &Outcome| {
                json!({
                    "name": outcome.name,
                    "uuid": outcome.uuid,
                    "done": outcome.result.as_ref().ok(),
                    "error": outcome.result.as_ref().err().map(|error| format!("{error:#}")),
                })
            };
            let document: Vec<_> = outcomes.iter().map(outcome).collect();
            writeln!(io::stdout(), "{:#}", json!(document))?;
        }
        note(match failed {
            0 => format!("{count} of {count} done"),
            failed => format!("{} of {count} done, {failed} failed", count - failed),
        });
        Ok(if failed == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }

    fn plan<'a>(self, vms: &[Chosen], job: impl Fn(Ref<Vm>, &Chosen) -> Job<'a>) -> anyhow::Result<ExitCode> {
        let plan = |chosen: &Chosen| job(chosen.vm, chosen).plan;
        let mut out = io::stdout();
        if self.json {
            let line = |chosen: &Chosen| json!({ "name": chosen.record.name_label, "uuid": chosen.record.uuid, "plan": plan(chosen) });
            writeln!(out, "{:#}", json!(vms.iter().map(line).collect::<Vec<_>>()))?;
        } else {
            for chosen in vms {
                writeln!(out, "{}: would {}", Printable(&chosen.record.name_label), plan(chosen))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
