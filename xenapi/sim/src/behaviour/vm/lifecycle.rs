//! Which operations a VM allows in which state.

use xenapi::{ToValue, Value};

use crate::dispatch::Invocation;
use crate::error::{ApiError, Result};
use crate::generic::void;
use crate::schema::{self, NULL};
use crate::state::State;

/// The power states as tables name them.
const ALL: &[&str] = &["Halted", "Paused", "Suspended", "Running"];

/// The value of `vm_operations` that a message stands for.
pub(crate) fn operation(message: &str) -> Option<&'static str> {
    let named = match message {
        "set_memory_limits" => "changing_memory_limits",
        "set_memory_static_range" | "set_memory_static_min" | "set_memory_static_max" | "set_memory" => {
            "changing_static_range"
        }
        "set_memory_dynamic_range" | "set_memory_dynamic_min" | "set_memory_dynamic_max" => "changing_dynamic_range",
        "set_VCPUs_max" | "set_VCPUs_at_startup" => "changing_VCPUs",
        "set_VCPUs_number_live" => "changing_VCPUs_live",
        "set_memory_target_live" => "changing_memory_live",
        "set_HVM_shadow_multiplier" => "changing_shadow_memory",
        "set_NVRAM" | "add_to_NVRAM" | "remove_from_NVRAM" => "changing_NVRAM",
        // These two always succeed or decide for themselves.
        "assert_operation_valid" | "update_allowed_operations" => return None,
        other => other,
    };
    schema::enum_values("vm_operations")
        .iter()
        .copied()
        .find(|&operation| operation == named)
}

/// In which power states an operation makes sense.
fn power_states(operation: &str, is_control_domain: bool) -> &'static [&'static str] {
    match operation {
        "changing_VCPUs" | "changing_static_range" | "changing_memory_limits" if is_control_domain => {
            &["Halted", "Running"]
        }
        "changing_VCPUs"
        | "changing_static_range"
        | "changing_memory_limits"
        | "changing_NVRAM"
        | "create_vtpm"
        | "changing_shadow_memory"
        | "make_into_template"
        | "provision"
        | "start"
        | "start_on" => &["Halted"],
        "unpause" => &["Paused"],
        "resume" | "resume_on" => &["Suspended"],
        "changing_VCPUs_live"
        | "changing_memory_live"
        | "changing_shadow_memory_live"
        | "awaiting_memory_live"
        | "call_plugin"
        | "clean_reboot"
        | "clean_shutdown"
        | "data_source_op"
        | "pause"
        | "pool_migrate"
        | "send_sysrq"
        | "send_trigger"
        | "snapshot_with_quiesce"
        | "suspend"
        | "sysprep" => &["Running"],
        "changing_dynamic_range" => &["Halted", "Running"],
        "clone" | "copy" | "destroy" | "export" => &["Halted", "Suspended"],
        "hard_reboot" => &["Paused", "Running"],
        "checkpoint" | "get_boot_record" | "shutdown" | "hard_shutdown" => &["Paused", "Suspended", "Running"],
        "migrate_send" => &["Halted", "Suspended", "Running"],
        "import" | "csvm" | "create_template" => &[],
        _ => ALL,
    }
}

/// What may be done with a template that is no snapshot.
const FOR_TEMPLATES: &[&str] = &[
    "changing_NVRAM",
    "changing_VCPUs",
    "changing_dynamic_range",
    "changing_memory_limits",
    "changing_shadow_memory",
    "changing_static_range",
    "clone",
    "copy",
    "create_template",
    "destroy",
    "export",
    "metadata_export",
    "provision",
];

/// What may be done with a snapshot.
const FOR_SNAPSHOTS: &[&str] = &[
    "clone",
    "copy",
    "create_template",
    "destroy",
    "export",
    "metadata_export",
    "power_state_reset",
    "revert",
];

/// What may be done with a control domain.
const FOR_CONTROL_DOMAINS: &[&str] = &[
    "changing_VCPUs",
    "changing_dynamic_range",
    "changing_memory_limits",
    "changing_memory_live",
    "changing_static_range",
    "data_source_op",
    "metadata_export",
];

/// Complains where the VM is in no state for the operation.
pub(crate) fn assert_operation(state: &State, vm: &str, operation: &str) -> Result<()> {
    Situation::of(state, vm).admit(operation)
}

/// What decides about operations on a VM.
struct Situation<'a> {
    vm: &'a str,
    power_state: &'a str,
    blocked: Option<&'a Value>,
    /// The task and the name of what is under way.
    current: Option<&'a (String, Value)>,
    is_control_domain: bool,
    is_snapshot: bool,
    is_a_template: bool,
}

impl<'a> Situation<'a> {
    fn of(state: &'a State, vm: &'a str) -> Self {
        let db = &state.db;
        let current = db.get("VM", vm, "current_operations").and_then(Value::as_struct);
        Self {
            vm,
            power_state: db
                .get("VM", vm, "power_state")
                .and_then(Value::as_str)
                .unwrap_or_default(),
            blocked: db.get("VM", vm, "blocked_operations"),
            current: current.and_then(<[_]>::first),
            is_control_domain: db.flag("VM", vm, "is_control_domain"),
            is_snapshot: db.flag("VM", vm, "is_a_snapshot"),
            is_a_template: db.flag("VM", vm, "is_a_template"),
        }
    }

    fn admit(&self, operation: &str) -> Result<()> {
        let vm = self.vm;
        let blocked = self.blocked.and_then(|blocked| blocked.get(operation)?.as_str());
        if let Some(reason) = blocked {
            return Err(ApiError::new("OPERATION_BLOCKED", [vm, reason]));
        }
        let expected = power_states(operation, self.is_control_domain);
        if !expected.contains(&self.power_state) {
            let expected = expected.join(", ").to_lowercase();
            let actual = self.power_state.to_lowercase();
            return Err(ApiError::new("VM_BAD_POWER_STATE", [vm, &expected, &actual]));
        }
        if let Some((task, Value::String(other))) = self.current {
            return Err(ApiError::new("OTHER_OPERATION_IN_PROGRESS", ["VM", vm, other, task]));
        }
        if self.is_snapshot && !FOR_SNAPSHOTS.contains(&operation) {
            return Err(ApiError::new("VM_IS_SNAPSHOT", [vm, operation]));
        }
        if !self.is_snapshot && self.is_a_template && !FOR_TEMPLATES.contains(&operation) {
            return Err(ApiError::new("VM_IS_TEMPLATE", [vm, operation]));
        }
        if !self.is_snapshot && operation == "revert" {
            let text = "Only snapshots can be reverted";
            return Err(ApiError::new("OPERATION_NOT_ALLOWED", [text]));
        }
        if operation == "provision" && !self.is_a_template {
            return Err(ApiError::new("PROVISION_ONLY_ALLOWED_ON_TEMPLATE", []));
        }
        if self.is_control_domain && !FOR_CONTROL_DOMAINS.contains(&operation) {
            let text = format!("Operation not allowed on a control domain: {operation}");
            return Err(ApiError::new("OPERATION_NOT_ALLOWED", [&text]));
        }
        Ok(())
    }
}

/// The operations that `allowed_operations` ever names, in the server's order.
const LISTED: &[&str] = &[
    "create_vtpm",
    "sysprep",
    "destroy",
    "metadata_export",
    "export",
    "make_into_template",
    "provision",
    "revert",
    "changing_NVRAM",
    "changing_VCPUs_live",
    "changing_shadow_memory",
    "changing_static_range",
    "changing_dynamic_range",
    "migrate_send",
    "pool_migrate",
    "resume_on",
    "resume",
    "suspend",
    "hard_reboot",
    "hard_shutdown",
    "clean_reboot",
    "clean_shutdown",
    "unpause",
    "pause",
    "start_on",
    "start",
    "checkpoint",
    "copy",
    "clone",
    "snapshot",
];

/// Brings `allowed_operations` up to date.
pub(crate) fn refresh(state: &mut State, vm: &str) {
    let situation = Situation::of(state, vm);
    let allowed = LISTED.iter().filter(|operation| situation.admit(operation).is_ok());
    let allowed = Value::Array(allowed.map(|operation| operation.to_value()).collect());
    state.db.refresh("VM", vm, "allowed_operations", allowed);
}

pub(super) fn assert_operation_valid(state: &mut State, call: &Invocation) -> Result<Value> {
    state.require("VM", call.text(0))?;
    assert_operation(state, call.text(0), call.text(1))?;
    Ok(void())
}

pub(super) fn update_allowed_operations(state: &mut State, call: &Invocation) -> Result<Value> {
    state.require("VM", call.text(0))?;
    refresh(state, call.text(0));
    Ok(void())
}

/// A reference that is not [`NULL`].
pub(super) fn non_null(reference: String) -> Option<String> {
    (!reference.is_empty() && reference != NULL).then_some(reference)
}
