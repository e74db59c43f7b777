//! Verbs on attachments.

use crate::{ErrorCode, Result, Vbd};

impl Vbd {
    /// Takes the medium out; a drive that is empty by now is fine.
    pub(super) async fn eject_if_loaded(&self) -> Result<()> {
        match self.eject().now().await {
            Err(error) if error.code() == Some(&ErrorCode::VbdIsEmpty) => Ok(()),
            result => result,
        }
    }
}
