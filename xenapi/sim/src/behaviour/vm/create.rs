//! Making and removing VMs.

use xenapi::{ToValue, Value};

use super::lifecycle::refresh;
use super::power::announce;
use crate::behaviour::{console, vbd, vdi};
use crate::dispatch::Invocation;
use crate::error::{ApiError, Result};
use crate::generic::void;
use crate::schema;
use crate::state::State;

const MIB: i64 = 1 << 20;

/// What Xen needs for a VM beside the VM's own memory, in bytes.
pub(crate) fn memory_overhead(static_max: i64, vcpus: i64) -> i64 {
    3 * MIB + vcpus.clamp(0, 1024) * MIB + static_max.max(0) / 128 / MIB * MIB
}

/// The fields in which VMs of an inventory differ.
#[derive(Clone, Debug)]
pub(crate) struct Template<'a> {
    pub(crate) name: &'a str,
    pub(crate) description: &'a str,
    pub(crate) memory: i64,
    pub(crate) vcpus: i64,
    pub(crate) is_a_template: bool,
}

impl Template<'_> {
    /// The constructor's fields of such a VM.
    pub(crate) fn fields(&self) -> Vec<(&'static str, Value)> {
        let text = |entries: &[(&str, &str)]| {
            Value::Struct(
                entries
                    .iter()
                    .map(|(name, value)| ((*name).to_owned(), value.to_value()))
                    .collect(),
            )
        };
        vec![
            ("name_label", self.name.to_value()),
            ("name_description", self.description.to_value()),
            ("user_version", Value::Int(1)),
            ("is_a_template", Value::Bool(self.is_a_template)),
            ("memory_static_max", Value::Int(self.memory)),
            ("memory_dynamic_max", Value::Int(self.memory)),
            ("memory_dynamic_min", Value::Int(self.memory)),
            ("memory_static_min", Value::Int(self.memory / 2)),
            ("VCPUs_max", Value::Int(self.vcpus)),
            ("VCPUs_at_startup", Value::Int(self.vcpus)),
            ("actions_after_shutdown", "destroy".to_value()),
            ("actions_after_reboot", "restart".to_value()),
            ("actions_after_crash", "restart".to_value()),
            ("HVM_boot_policy", "BIOS order".to_value()),
            ("HVM_boot_params", text(&[("order", "cd"), ("firmware", "bios")])),
            (
                "platform",
                text(&[("nx", "true"), ("acpi", "1"), ("apic", "true"), ("pae", "true")]),
            ),
            ("domain_type", "hvm".to_value()),
            ("has_vendor_device", Value::Bool(false)),
            ("generation_id", "".to_value()),
        ]
    }
}

/// Gives a new VM what every VM has.
pub(crate) fn add_metrics(state: &mut State, vm: &str) {
    let utilisation = Value::Struct(vec![("0".to_owned(), Value::Float(0.0))]);
    let fields = [
        ("VCPUs_utilisation", utilisation),
        ("current_domain_type", "unspecified".to_value()),
    ];
    let metrics = state.create("VM_metrics", &fields);
    let overhead = memory_overhead(
        state.db.int("VM", vm, "memory_static_max"),
        state.db.int("VM", vm, "VCPUs_max"),
    );
    state.db.set("VM", vm, "metrics", metrics);
    state.db.set("VM", vm, "memory_overhead", overhead);
    state.db.set("VM", vm, "domid", -1);
    refresh(state, vm);
}

pub(super) fn create(state: &mut State, call: &Invocation) -> Result<Value> {
    let mut fields = schema::constructor_argument(call.method.class, &call.value(0))?;
    let given = |name: &str| {
        fields
            .iter()
            .find(|(field, _)| *field == name)
            .map(|(_, value)| value.clone())
    };
    let hvm = given("HVM_boot_policy").and_then(|policy| policy.as_str().map(|text| !text.is_empty()));
    let suspended = given("power_state").is_some_and(|state| state.as_str() == Some("Suspended"));
    let unspecified = given("domain_type").is_some_and(|kind| kind.as_str() == Some("unspecified"));
    if !suspended {
        fields.push(("power_state", "Halted".to_value()));
    }
    if unspecified {
        fields.push(("domain_type", if hvm == Some(true) { "hvm" } else { "pv" }.to_value()));
    }
    let vm = state.create("VM", &fields);
    let seed = state.ids.uuid();
    if state.db.entry("VM", &vm, "other_config", "mac_seed").is_none() {
        state.db.set_entry("VM", &vm, "other_config", "mac_seed", seed);
    }
    add_metrics(state, &vm);
    Ok(vm.to_value())
}

pub(super) fn destroy(state: &mut State, call: &Invocation) -> Result<Value> {
    announce(state, call.text(0), "VM_DESTROYED", "destroyed");
    remove(state, call.text(0));
    Ok(void())
}

/// Removes a VM with its devices, but not their disks.
pub(crate) fn remove(state: &mut State, vm: &str) {
    for device in state.db.list("VM", vm, "VBDs") {
        vbd::remove(state, &device);
    }
    for device in state.db.list("VM", vm, "VIFs") {
        let metrics = state.db.text("VIF", &device, "metrics");
        state.db.remove("VIF_metrics", &metrics);
        state.db.remove("VIF", &device);
    }
    console::remove(state, vm);
    for (class, field) in [("VM_metrics", "metrics"), ("VM_guest_metrics", "guest_metrics")] {
        let metrics = state.db.text("VM", vm, field);
        state.db.remove(class, &metrics);
    }
    let suspend_image = state.db.text("VM", vm, "suspend_VDI");
    vdi::remove(state, &suspend_image);
    // What was below a snapshot in the tree now hangs where the snapshot hung.
    let parent = state.db.text("VM", vm, "parent");
    for child in state.db.list("VM", vm, "children") {
        state.db.set("VM", &child, "parent", parent.as_str());
    }
    state.db.remove("VM", vm);
}

/// Makes the disks that a template describes in `other_config:disks`.
pub(super) fn provision(state: &mut State, call: &Invocation) -> Result<Value> {
    let vm = call.text(0);
    let disks = state.db.entry("VM", vm, "other_config", "disks").unwrap_or_default();
    for disk in disks.split("<disk ").skip(1) {
        let attribute = |name: &str| {
            let (_, rest) = disk.split_once(&format!("{name}=\""))?;
            rest.split_once('"').map(|(value, _)| value.to_owned())
        };
        let size = attribute("size").and_then(|size| size.parse().ok()).unwrap_or_default();
        let device = attribute("device").unwrap_or_default();
        let pool = state.pool();
        let default = state.db.text("pool", &pool, "default_SR");
        let named = attribute("sr").and_then(|uuid| state.db.find("SR", "uuid", &uuid));
        let sr = named.unwrap_or(default);
        state
            .require("SR", &sr)
            .map_err(|_| ApiError::new("DEFAULT_SR_NOT_FOUND", [&sr]))?;
        let bootable = attribute("bootable").as_deref() == Some("true");
        let image = vdi::make(
            state,
            &sr,
            &format!("{device} of {}", state.db.text("VM", vm, "name_label")),
            size,
            "user",
        )?;
        vbd::add_disk(state, vm, &image, &device, bootable);
    }
    state.db.remove_entry("VM", vm, "other_config", "disks");
    state.db.set("VM", vm, "is_a_template", false);
    refresh(state, vm);
    Ok(void())
}
