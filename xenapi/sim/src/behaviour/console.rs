//! The consoles of VMs, and where clients reach them.

use xenapi::ToValue;

use crate::state::State;

/// Gives a running VM a screen and a serial line.
pub(crate) fn add(state: &mut State, vm: &str) {
    for protocol in ["rfb", "vt100"] {
        state.create("console", &[("protocol", protocol.to_value()), ("VM", vm.to_value())]);
    }
    locate(state, vm);
}

/// Has the consoles of a VM tell the URL at the host where it runs.
pub(crate) fn locate(state: &mut State, vm: &str) {
    let host = state.db.text("VM", vm, "resident_on");
    let address = state.db.text("host", &host, "address");
    let hosts_own = state.db.flag("VM", vm, "is_control_domain");
    for console in state.db.list("VM", vm, "consoles") {
        let name = if hosts_own {
            format!("ref={console}")
        } else {
            format!("uuid={}", state.uuid("console", &console))
        };
        state.db.refresh(
            "console",
            &console,
            "location",
            format!("https://{address}/console?{name}"),
        );
    }
}

/// Takes the consoles from a VM that no longer runs.
pub(crate) fn remove(state: &mut State, vm: &str) {
    for console in state.db.list("VM", vm, "consoles") {
        state.db.remove("console", &console);
    }
}
