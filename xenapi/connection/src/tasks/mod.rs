//! Tasks: calls that the server carries out in the background.

mod call;
mod running;
mod state;
mod wait;
mod watch;

pub use self::call::TaskCall;
pub use self::running::{Outcome, RunningTask};
pub(crate) use self::state::TaskState;
pub(crate) use self::wait::{OnProgress, TIDYING_LIMIT, cancel_and_destroy, destroy, record, spawn, tidy, until_done};
pub(crate) use self::watch::{Seat, TaskWatch};
