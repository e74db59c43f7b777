//! Classes that this crate speaks of without knowing their handles.

/// The class `task`. References to tasks are handed out typed by whatever type stands for it: see [`TypedAs`].
#[derive(Clone, Copy, Debug)]
pub enum TaskClass {}

/// Says which type stands for a class in references. The typed bindings say it once, for their handle, and need no
/// more type annotations than if it were known here; who does without them says it of a type of their own:
///
/// ```
/// use xenapi_connection::{LostCall, TaskClass, TypedAs};
///
/// enum Task {}
/// impl TypedAs<Task> for TaskClass {}
///
/// fn is_known(lost: &LostCall) -> bool {
///     lost.task().is_some()
/// }
/// ```
pub trait TypedAs<T> {}
