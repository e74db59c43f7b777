//! What a QEMU that runs was given.

use dom0::{Command, Dom0};
use serial_link::setup::serial_argument;

/// Where the toolstack keeps the number of a domain's QEMU.
const CMDLINE: &str = r#"pid=$(xenstore-read "/local/domain/$1/qemu-pid" 2>/dev/null) && cat "/proc/$pid/cmdline" 2>/dev/null
exit 0"#;

/// The setting that a domain's serial port has now; none where the host does not tell.
pub(crate) async fn running_setting(dom0: &Dom0, domain: u32) -> Result<Option<String>, dom0::Error> {
    let ask = Command::raw(CMDLINE).arg(domain.to_string()).limit(1 << 20);
    Ok(serial_argument(&dom0.run(&ask).await?))
}
