//! What is looked at in the record of a task.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};

use crate::wire::enums::task::StatusType;

/// How a task fares: what there is to know of its record for who waits for it.
#[derive(Clone, Debug, Default)]
pub(crate) struct TaskState {
    pub(crate) status: StatusType,
    pub(crate) progress: f64,
    /// A value in the encoding of XML-RPC.
    pub(crate) result: String,
    /// The code of the error that it failed with, and its parameters.
    pub(crate) error_info: Vec<String>,
}

impl TaskState {
    /// Whether the task has ended; its progress does not tell.
    pub(crate) fn is_done(&self) -> bool {
        matches!(
            self.status,
            StatusType::Success | StatusType::Failure | StatusType::Cancelled
        )
    }
}

impl<'de> Deserialize<'de> for TaskState {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = TaskState;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the record of a task")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<TaskState, A::Error> {
                let mut state = TaskState::default();
                while let Some(name) = members.next_key::<Cow<'_, str>>()? {
                    match &*name {
                        "status" => state.status = members.next_value()?,
                        "progress" => state.progress = members.next_value()?,
                        "result" => state.result = members.next_value()?,
                        "error_info" => state.error_info = members.next_value()?,
                        _ => drop(members.next_value::<IgnoredAny>()?),
                    }
                }
                Ok(state)
            }
        }
        deserializer.deserialize_map(Members)
    }
}
