//! Starting, stopping and moving VMs.

use xenapi::{ToValue, Value};

use super::lifecycle::{non_null, refresh};
use super::place;
use crate::behaviour::{console, vbd, vdi, vif};
use crate::dispatch::Invocation;
use crate::error::{ApiError, Result};
use crate::generic::void;
use crate::schema::NULL;
use crate::state::State;

pub(super) fn start(state: &mut State, call: &Invocation) -> Result<Value> {
    let host = place::choose_host(state, call.text(0))?;
    start_somewhere(state, call.text(0), &host, call.flag(1))
}

pub(super) fn start_on(state: &mut State, call: &Invocation) -> Result<Value> {
    let (vm, host) = (call.text(0), call.text(1));
    state.require("host", host)?;
    place::check_host(state, vm, host)?;
    start_somewhere(state, vm, host, call.flag(2))
}

fn start_somewhere(state: &mut State, vm: &str, host: &str, paused: bool) -> Result<Value> {
    vbd::check_disks_are_free(state, vm)?;
    start_on_host(state, vm, host, paused);
    let (name, uuid) = (state.db.text("VM", vm, "name_label"), state.uuid("VM", vm));
    let (host_name, host_uuid) = (state.db.text("host", host, "name_label"), state.uuid("host", host));
    let body = format!("VM '{name}' (uuid: {uuid}) started on host: {host_name} (uuid: {host_uuid})");
    state.message("VM_STARTED", 5, "VM", &uuid, &body);
    Ok(void())
}

/// Makes a VM run.
pub(crate) fn start_on_host(state: &mut State, vm: &str, host: &str, paused: bool) {
    enter(state, vm, host, paused);
    for device in state.db.list("VM", vm, "VBDs") {
        vbd::attach(state, &device);
    }
    for device in state.db.list("VM", vm, "VIFs") {
        vif::attach(state, &device);
    }
    console::add(state, vm);
    let metrics = state.db.text("VM", vm, "metrics");
    state.db.set("VM_metrics", &metrics, "start_time", state.clock.now());
    refresh(state, vm);
}

/// Whether a message goes through xenopsd, which leaves a trace of itself in the task.
pub(crate) fn is_xenopsd_operation(message: &str) -> bool {
    [
        "start",
        "resume",
        "pause",
        "unpause",
        "suspend",
        "shutdown",
        "reboot",
        "migrate",
        "checkpoint",
    ]
    .iter()
    .any(|operation| message.contains(operation))
}

/// Gives a VM a domain on a host.
fn enter(state: &mut State, vm: &str, host: &str, paused: bool) {
    state.last_domid += 1;
    let domid = state.last_domid;
    let db = &mut state.db;
    db.set("VM", vm, "resident_on", host);
    db.set("VM", vm, "domid", domid);
    db.set("VM", vm, "memory_target", db.int("VM", vm, "memory_dynamic_max"));
    let cpu = Value::Struct(vec![
        ("vendor".to_owned(), "GenuineIntel".to_value()),
        ("features".to_owned(), "".to_value()),
    ]);
    db.set("VM", vm, "last_boot_CPU_flags", cpu);
    if db
        .get("VM", vm, "platform")
        .is_some_and(|platform| platform.get("device-model").is_none())
    {
        db.set_entry("VM", vm, "platform", "device-model", "qemu-upstream-compat");
    }
    if db
        .get("VM", vm, "bios_strings")
        .and_then(Value::as_struct)
        .is_none_or(<[_]>::is_empty)
    {
        db.set("VM", vm, "bios_strings", bios_strings());
    }
    let metrics = db.text("VM", vm, "metrics");
    let domain_type = db.text("VM", vm, "domain_type");
    db.set(
        "VM_metrics",
        &metrics,
        "VCPUs_number",
        db.int("VM", vm, "VCPUs_at_startup"),
    );
    db.set(
        "VM_metrics",
        &metrics,
        "memory_actual",
        db.int("VM", vm, "memory_dynamic_max"),
    );
    db.set("VM_metrics", &metrics, "hvm", domain_type == "hvm");
    db.set("VM_metrics", &metrics, "current_domain_type", domain_type);
    add_guest_metrics(state, vm, domid);
    // The state that all clients watch is written last.
    state
        .db
        .set("VM", vm, "power_state", if paused { "Paused" } else { "Running" });
    place::count_free_memory(state);
}

fn bios_strings() -> Value {
    let mut strings: Vec<_> = [
        ("bios-vendor", "Xen"),
        ("bios-version", ""),
        ("system-manufacturer", "Xen"),
        ("system-product-name", "HVM domU"),
        ("system-version", ""),
        ("system-serial-number", ""),
        ("baseboard-manufacturer", ""),
        ("baseboard-product-name", ""),
        ("baseboard-version", ""),
        ("baseboard-serial-number", ""),
        ("baseboard-asset-tag", ""),
        ("baseboard-location-in-chassis", ""),
        ("enclosure-asset-tag", ""),
        ("hp-rombios", ""),
        ("oem-1", "Xen"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_value()))
    .into();
    strings.push((
        "oem-2".to_owned(),
        "MS_VM_CERT/SHA1/bdbeb6e0a816d43fa6d3fe8aaef04c2bad9d3e3d".to_value(),
    ));
    Value::Struct(strings)
}

/// The entry of `other_config` that is `none` where nobody in the guest tells anything.
pub(crate) const AGENT: &str = "simulator-agent";

/// What the agent in the guest tells; nothing where `other_config` says that there is none. What it told stays there
/// when the VM stops, up to the next start.
fn add_guest_metrics(state: &mut State, vm: &str, domid: i64) {
    drop_guest_metrics(state, vm);
    let told = match state.db.entry("VM", vm, "other_config", AGENT).as_deref() {
        Some("none") => vec![
            ("last_updated", Value::DateTime(state.clock.now())),
            ("live", Value::Bool(true)),
        ],
        _ => told_by_agent(state, vm, domid),
    };
    let metrics = state.create("VM_guest_metrics", &told);
    state.db.set("VM", vm, "guest_metrics", metrics);
}

fn told_by_agent(state: &State, vm: &str, domid: i64) -> Vec<(&'static str, Value)> {
    let text = |entries: &[(&str, &str)]| {
        Value::Struct(
            entries
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.to_value()))
                .collect(),
        )
    };
    let address = format!("192.0.2.{}", domid.rem_euclid(254) + 1);
    let has_network = !state.db.list("VM", vm, "VIFs").is_empty();
    let networks = if has_network {
        text(&[("0/ip", &address), ("0/ipv4/0", &address)])
    } else {
        text(&[])
    };
    let features = [
        "feature-shutdown",
        "feature-reboot",
        "feature-suspend",
        "feature-vcpu-hotplug",
    ];
    vec![
        (
            "os_version",
            text(&[
                ("name", "Debian GNU/Linux 12"),
                ("uname", "6.1.0-21-amd64"),
                ("distro", "debian"),
            ]),
        ),
        (
            "PV_drivers_version",
            text(&[("major", "8"), ("minor", "4"), ("micro", "0"), ("build", "1")]),
        ),
        ("PV_drivers_up_to_date", Value::Bool(true)),
        ("networks", networks),
        ("other", text(&features.map(|feature| (feature, "1")))),
        ("last_updated", Value::DateTime(state.clock.now())),
        ("live", Value::Bool(true)),
        ("PV_drivers_detected", Value::Bool(true)),
    ]
}

fn drop_guest_metrics(state: &mut State, vm: &str) {
    if let Some(metrics) = non_null(state.db.text("VM", vm, "guest_metrics")) {
        state.db.remove("VM_guest_metrics", &metrics);
        state.db.set("VM", vm, "guest_metrics", NULL);
    }
}

/// Takes a VM's domain away.
fn leave(state: &mut State, vm: &str, power_state: &str) {
    console::remove(state, vm);
    let metrics = state.db.text("VM", vm, "metrics");
    let db = &mut state.db;
    db.set("VM_metrics", &metrics, "VCPUs_number", 0);
    db.set("VM_metrics", &metrics, "memory_actual", 0);
    db.set("VM_metrics", &metrics, "hvm", false);
    db.set("VM_metrics", &metrics, "current_domain_type", "unspecified");
    db.set("VM", vm, "domid", -1);
    db.set("VM", vm, "resident_on", NULL);
    db.set("VM", vm, "memory_target", 0);
    db.set("VM", vm, "power_state", power_state);
    place::count_free_memory(state);
}

/// Halts a VM from whatever state.
fn halt(state: &mut State, vm: &str) {
    leave(state, vm, "Halted");
    for device in state.db.list("VM", vm, "VBDs") {
        vbd::detach(state, &device);
    }
    for device in state.db.list("VM", vm, "VIFs") {
        vif::detach(state, &device);
    }
    drop_suspend_image(state, vm);
    refresh(state, vm);
}

fn drop_suspend_image(state: &mut State, vm: &str) {
    if let Some(image) = non_null(state.db.text("VM", vm, "suspend_VDI")) {
        state.db.set("VM", vm, "suspend_VDI", NULL);
        vdi::remove(state, &image);
    }
}

pub(super) fn pause(state: &mut State, call: &Invocation) -> Result<Value> {
    set_power_state(state, call.text(0), "Paused")
}

pub(super) fn unpause(state: &mut State, call: &Invocation) -> Result<Value> {
    set_power_state(state, call.text(0), "Running")
}

fn set_power_state(state: &mut State, vm: &str, power_state: &str) -> Result<Value> {
    state.db.set("VM", vm, "power_state", power_state);
    refresh(state, vm);
    Ok(void())
}

pub(super) fn suspend(state: &mut State, call: &Invocation) -> Result<Value> {
    let vm = call.text(0);
    let pool = state.pool();
    let candidates = [
        state.db.text("VM", vm, "suspend_SR"),
        state.db.text("pool", &pool, "suspend_image_SR"),
        state.db.text("pool", &pool, "default_SR"),
    ];
    let sr = candidates
        .into_iter()
        .find_map(non_null)
        .ok_or_else(|| ApiError::new("VM_NO_SUSPEND_SR", [vm]))?;
    let size = state.db.int("VM", vm, "memory_dynamic_max");
    let image = vdi::make(state, &sr, "Suspend image", size, "suspend")?;
    state.db.set("VM", vm, "suspend_VDI", image);
    leave(state, vm, "Suspended");
    announce(state, vm, "VM_SUSPENDED", "suspended");
    refresh(state, vm);
    Ok(void())
}

pub(super) fn resume(state: &mut State, call: &Invocation) -> Result<Value> {
    let host = place::choose_host(state, call.text(0))?;
    resume_somewhere(state, call.text(0), &host, call.flag(1))
}

pub(super) fn resume_on(state: &mut State, call: &Invocation) -> Result<Value> {
    let (vm, host) = (call.text(0), call.text(1));
    state.require("host", host)?;
    place::check_host(state, vm, host)?;
    resume_somewhere(state, vm, host, call.flag(2))
}

fn resume_somewhere(state: &mut State, vm: &str, host: &str, paused: bool) -> Result<Value> {
    drop_suspend_image(state, vm);
    start_on_host(state, vm, host, paused);
    announce(state, vm, "VM_RESUMED", "resumed");
    Ok(void())
}

pub(super) fn shutdown(state: &mut State, call: &Invocation) -> Result<Value> {
    let vm = call.text(0);
    halt(state, vm);
    let how = if call.method.message.name == "hard_shutdown" {
        "shutdown forcibly"
    } else {
        "shutdown"
    };
    announce(state, vm, "VM_SHUTDOWN", how);
    Ok(void())
}

pub(super) fn reboot(state: &mut State, call: &Invocation) -> Result<Value> {
    let vm = call.text(0);
    let host = state.db.text("VM", vm, "resident_on");
    enter(state, vm, &host, false);
    let metrics = state.db.text("VM", vm, "metrics");
    state.db.set("VM_metrics", &metrics, "start_time", state.clock.now());
    let how = if call.method.message.name == "hard_reboot" {
        "rebooted forcibly"
    } else {
        "rebooted cleanly"
    };
    announce(state, vm, "VM_REBOOTED", how);
    refresh(state, vm);
    Ok(void())
}

pub(super) fn power_state_reset(state: &mut State, call: &Invocation) -> Result<Value> {
    if !state.db.is("VM", call.text(0), "power_state", "Halted") {
        halt(state, call.text(0));
    }
    Ok(void())
}

pub(super) fn pool_migrate(state: &mut State, call: &Invocation) -> Result<Value> {
    let (vm, host) = (call.text(0), call.text(1));
    state.require("host", host)?;
    if !state.db.is("VM", vm, "resident_on", host) {
        place::check_host(state, vm, host)?;
        migrate(state, vm, host);
        announce(state, vm, "VM_MIGRATED", "migrated");
    }
    Ok(void())
}

/// Moves a running VM to another host.
fn migrate(state: &mut State, vm: &str, host: &str) {
    state.last_domid += 1;
    let domid = state.last_domid;
    state.db.set("VM", vm, "domid", domid);
    state.db.set("VM", vm, "resident_on", host);
    console::locate(state, vm);
    place::count_free_memory(state);
    refresh(state, vm);
}

/// Where each VM of a host can go, or why it cannot.
fn destinations(state: &State, host: &str) -> Vec<(String, Result<String>)> {
    let residents = state.db.list("host", host, "resident_VMs").into_iter();
    let guests = residents.filter(|vm| !state.db.flag("VM", vm, "is_control_domain"));
    let destination = |vm: &str| {
        let others = state.hosts.iter().filter(|other| *other != host);
        let mut error = ApiError::new("NO_HOSTS_AVAILABLE", []);
        for other in others {
            match place::check_host(state, vm, other) {
                Ok(()) => return Ok(other.clone()),
                Err(reason) => error = reason,
            }
        }
        Err(error)
    };
    guests.map(|vm| (vm.clone(), destination(&vm))).collect()
}

/// The VMs that cannot leave a host, and why.
pub(crate) fn prevents_evacuation(state: &State, host: &str) -> Vec<(String, ApiError)> {
    destinations(state, host)
        .into_iter()
        .filter_map(|(vm, place)| Some((vm, place.err()?)))
        .collect()
}

/// Complains where a VM has no place to go.
pub(crate) fn can_evacuate(state: &State, host: &str) -> Result<()> {
    prevents_evacuation(state, host)
        .into_iter()
        .next()
        .map_or(Ok(()), |(_, error)| Err(error))
}

/// Moves all VMs of a host elsewhere, or none where one has no place to go.
pub(crate) fn evacuate(state: &mut State, host: &str) -> Result<()> {
    can_evacuate(state, host)?;
    for (vm, destination) in destinations(state, host) {
        migrate(state, &vm, &destination?);
    }
    Ok(())
}

/// Leaves a message about what happened to a VM.
pub(super) fn announce(state: &mut State, vm: &str, name: &str, what: &str) {
    let uuid = state.uuid("VM", vm);
    let body = format!("VM '{}' (uuid: {uuid}) {what}", state.db.text("VM", vm, "name_label"));
    state.message(name, 5, "VM", &uuid, &body);
}
