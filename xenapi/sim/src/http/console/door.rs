//! Who gets to which console.

use std::sync::Arc;

use super::super::access::{Access, Action};
use super::super::message::{Reply, Request};
use crate::dispatch::Origin;
use crate::error::{ApiError, Result};
use crate::state::{Shared, State};

/// What is spoken behind the door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// RFB, the protocol of VNC.
    Screen,
    /// Text.
    Terminal,
}

/// A console that somebody was let in to.
#[derive(Debug)]
pub(crate) struct Console {
    pub(super) protocol: Protocol,
    /// The VM's name.
    pub(super) name: String,
    reference: String,
    access: Access,
}

/// Opens a console, or answers with the reply that says why not. Checks a request as xapi does: there is no redirect to the host where the VM runs.
pub(crate) async fn open(shared: &Arc<Shared>, origin: &Origin, request: &Request) -> Result<Console, Reply> {
    shared.with(|state| *state.counters.requests.entry("/console".to_owned()).or_default() += 1);
    let named = request.query("uuid").or_else(|| request.query("ref"));
    let action = Action {
        name: "connect_console",
        label: "",
    };
    let object = named.unwrap_or_default();
    let access = Access::check(shared, origin, request, action, &object)
        .await
        .map_err(|refusal| *refusal)?;
    let found = shared.with(|state| {
        access.fault()?;
        let console = find(state, request)?;
        let vm = state.db.text("console", &console, "VM");
        let hosts_own = state.db.flag("VM", &vm, "is_control_domain");
        Ok((console, vm, hosts_own))
    });
    let (console, vm, hosts_own) = found.map_err(|error| access.refuse(shared, &error))?;
    if hosts_own
        && let Err(error) = shared.with(|state| access.check_role(state, request, "pool-admin", "host_console"))
    {
        return Err(access.forbid(shared, &error));
    }
    let checked = shared.with(|state| {
        check_runs_here(state, origin, &vm)?;
        Ok((protocol(state, &console)?, state.db.text("VM", &vm, "name_label")))
    });
    let (protocol, name) = checked.map_err(|error| access.refuse(shared, &error))?;
    Ok(Console {
        protocol,
        name,
        reference: console,
        access,
    })
}

/// The console that a request names, by itself or by its VM, whose screen is then meant.
fn find(state: &State, request: &Request) -> Result<String> {
    let failure = |text: &str| ApiError::internal(&format!("Failure({text:?})"));
    let reference = match (request.query("ref"), request.query("uuid")) {
        (Some(reference), _) => reference,
        (None, Some(uuid)) => ["console", "VM"]
            .iter()
            .find_map(|class| state.db.find(class, "uuid", &uuid))
            .ok_or_else(|| ApiError::new("UUID_INVALID", ["console", &uuid]))?,
        (None, None) => return Err(failure("Missing 'ref' or 'uuid' parameter")),
    };
    if state.db.exists("console", &reference) {
        return Ok(reference);
    }
    if !state.db.exists("VM", &reference) {
        return Err(failure("Specified reference is not valid"));
    }
    let mut consoles = state.db.list("VM", &reference, "consoles").into_iter();
    let screen = consoles.find(|console| state.db.is("console", console, "protocol", "rfb"));
    // Where nothing runs there is no console, and that it does not run is what the client has to know.
    screen.ok_or_else(|| not_running(state, &reference).unwrap_or_else(|| failure("No default console found")))
}

fn not_running(state: &State, vm: &str) -> Option<ApiError> {
    let power_state = state.db.text("VM", vm, "power_state");
    (power_state != "Running")
        .then(|| ApiError::new("VM_BAD_POWER_STATE", [vm, "running", &power_state.to_lowercase()]))
}

fn check_runs_here(state: &State, origin: &Origin, vm: &str) -> Result<()> {
    if let Some(error) = not_running(state, vm) {
        return Err(error);
    }
    let resident = state.db.text("VM", vm, "resident_on");
    if state.hosts.get(origin.host) == Some(&resident) {
        Ok(())
    } else {
        Err(ApiError::internal("Failure(\"VM is not resident on this host\")"))
    }
}

fn protocol(state: &State, console: &str) -> Result<Protocol> {
    match state.db.text("console", console, "protocol").as_str() {
        "rfb" => Ok(Protocol::Screen),
        "vt100" => Ok(Protocol::Terminal),
        other => Err(ApiError::new(
            "NOT_IMPLEMENTED",
            [&format!("console of protocol {other}")],
        )),
    }
}

impl Console {
    /// Waits until the console is no more: its VM stopped or left, or the host was cut off.
    pub(super) async fn is_gone(&self, shared: &Shared) {
        let mut changed = shared.watch();
        loop {
            changed.borrow_and_update();
            let gone = shared.with(|state| {
                self.access.is_lost(state) || !state.db.exists("console", &self.reference) || !self.is_here(state)
            });
            if gone || changed.changed().await.is_err() {
                return;
            }
        }
    }

    fn is_here(&self, state: &State) -> bool {
        let vm = state.db.text("console", &self.reference, "VM");
        let resident = state.db.text("VM", &vm, "resident_on");
        state.hosts.get(self.access.host()) == Some(&resident)
    }

    /// Ends the task that the client brought.
    pub(super) fn close(&self, shared: &Shared) {
        shared.with(|state| self.access.end(state, &Ok(String::new())));
    }
}
