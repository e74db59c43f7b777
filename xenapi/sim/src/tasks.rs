//! Tasks: what runs, how far it is, how it ended.

use xenapi::{ToValue, Value};

use crate::error::{ApiError, Result};
use crate::state::State;

/// Ended tasks are kept this long…
const KEPT_SECONDS: i64 = 65 * 60;
/// … or until there are more tasks than this.
const KEPT_TASKS: usize = 200;
/// A task that still runs is dropped after this long without progress.
const PENDING_SECONDS: i64 = 24 * 3600;

/// How a task ended.
pub(crate) type Outcome = Result<String>;

impl State {
    /// Makes a running task.
    pub(crate) fn new_task(&mut self, label: &str, description: &str, host: usize) -> String {
        self.collect_tasks();
        let fields = [
            ("name_label", label.to_value()),
            ("name_description", description.to_value()),
            ("created", Value::DateTime(self.clock.now())),
            ("status", "pending".to_value()),
            (
                "resident_on",
                self.hosts.get(host).cloned().unwrap_or_default().to_value(),
            ),
            ("type", "<none/>".to_value()),
            ("allowed_operations", Value::Array(vec!["cancel".to_value()])),
            ("backtrace", "()".to_value()),
        ];
        self.create("task", &fields)
    }

    pub(crate) fn is_pending(&self, task: &str) -> bool {
        self.db.is("task", task, "status", "pending")
    }

    /// Notes how far a task is.
    pub(crate) fn set_progress(&mut self, task: &str, progress: f64) {
        if self.is_pending(task) {
            self.db.set("task", task, "progress", progress);
        }
    }

    /// The writes that come before a task's status changes: for a moment its progress is 1 while it is still pending.
    pub(crate) fn prepare_completion(&mut self, task: &str, outcome: &Outcome) {
        if !self.is_pending(task) {
            return;
        }
        let now = self.clock.now();
        match outcome {
            Ok(result) => {
                self.db
                    .set("task", task, "allowed_operations", Value::Array(Vec::new()));
                self.db.set("task", task, "finished", now);
                self.db.set("task", task, "progress", 1.0);
                self.db.set("task", task, "result", result.as_str());
            }
            Err(error) => {
                self.db.set("task", task, "progress", 1.0);
                self.db.set("task", task, "error_info", error.description());
                self.db.set("task", task, "finished", now);
                self.db
                    .set("task", task, "allowed_operations", Value::Array(Vec::new()));
            }
        }
        self.db
            .set("task", task, "current_operations", Value::Struct(Vec::new()));
    }

    /// The last write: from here on the task has ended.
    pub(crate) fn complete(&mut self, task: &str, outcome: &Outcome) {
        if !self.is_pending(task) {
            return;
        }
        let status = match outcome {
            Ok(_) => "success",
            Err(error) if error.code == "TASK_CANCELLED" => "cancelled",
            Err(_) => "failure",
        };
        self.db.set("task", task, "status", status);
        self.cancelled.remove(task);
        if self.doomed.remove(task) {
            self.db.remove("task", task);
        }
    }

    /// Both steps of completion at once.
    pub(crate) fn finish_task(&mut self, task: &str, outcome: &Outcome) {
        self.prepare_completion(task, outcome);
        self.complete(task, outcome);
    }

    /// Asks a task to stop.
    pub(crate) fn cancel_task(&mut self, task: &str) {
        if self.is_pending(task) {
            let key = format!("DummyRef:|{}|task.cancel", self.ids.uuid());
            self.db.set_entry("task", task, "current_operations", &key, "cancel");
            self.cancelled.insert(task.to_owned());
        }
    }

    /// The error of an operation whose task was asked to stop.
    pub(crate) fn check_cancelled(&self, task: &str) -> Result<()> {
        if self.cancelled.contains(task) {
            Err(ApiError::new("TASK_CANCELLED", [task]))
        } else {
            Ok(())
        }
    }

    /// Removes an ended task; a running one is only marked, and goes when it ends.
    pub(crate) fn destroy_task(&mut self, task: &str) {
        if self.is_pending(task) {
            self.doomed.insert(task.to_owned());
        } else {
            self.db.remove("task", task);
        }
    }

    /// Drops tasks that ended long ago, and the oldest ones where there are too many.
    pub(crate) fn collect_tasks(&mut self) {
        let now = self.clock.now().unix_seconds();
        let mut ended = Vec::new();
        for task in self.db.refs("task") {
            let created = self.db.time("task", &task, "created").unix_seconds();
            let finished = self.db.time("task", &task, "finished").unix_seconds();
            if self.is_pending(&task) {
                if now - created > PENDING_SECONDS {
                    self.db.remove("task", &task);
                }
            } else if now - finished > KEPT_SECONDS {
                self.db.remove("task", &task);
            } else {
                ended.push((finished, task));
            }
        }
        ended.sort();
        let surplus = self.db.count("task").saturating_sub(KEPT_TASKS);
        for (_, task) in ended.into_iter().take(surplus) {
            self.db.remove("task", &task);
        }
    }
}
