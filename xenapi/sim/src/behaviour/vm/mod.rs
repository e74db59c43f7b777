//! Messages of the class `VM`.

mod configure;
mod copy;
mod create;
mod lifecycle;
mod place;
mod plugin;
mod power;

pub(crate) use self::copy::take_snapshot;
pub(crate) use self::create::{Template, add_metrics, remove};
pub(crate) use self::lifecycle::{assert_operation, operation, refresh};
pub(crate) use self::place::count_free_memory;
pub(crate) use self::power::{AGENT, can_evacuate, evacuate, is_xenopsd_operation, prevents_evacuation, start_on_host};

use super::Behaviour;

pub(super) fn find(message: &str) -> Option<Behaviour> {
    Some(match message {
        "create" => create::create,
        "destroy" => create::destroy,
        "provision" => create::provision,
        "start" => power::start,
        "start_on" => power::start_on,
        "pause" => power::pause,
        "unpause" => power::unpause,
        "suspend" => power::suspend,
        "resume" => power::resume,
        "resume_on" => power::resume_on,
        "clean_shutdown" | "hard_shutdown" | "shutdown" => power::shutdown,
        "clean_reboot" | "hard_reboot" => power::reboot,
        "power_state_reset" => power::power_state_reset,
        "pool_migrate" => power::pool_migrate,
        "snapshot" => copy::snapshot,
        "checkpoint" => copy::checkpoint,
        "clone" => copy::clone,
        "copy" => copy::copy,
        "revert" => copy::revert,
        "set_is_a_template" => configure::set_is_a_template,
        "set_memory_limits" => configure::set_memory_limits,
        "set_memory_static_range" => configure::set_memory_static_range,
        "set_memory_dynamic_range" => configure::set_memory_dynamic_range,
        "set_memory_static_min" => configure::set_memory_static_min,
        "set_memory_static_max" => configure::set_memory_static_max,
        "set_memory_dynamic_min" => configure::set_memory_dynamic_min,
        "set_memory_dynamic_max" => configure::set_memory_dynamic_max,
        "set_memory" => configure::set_memory,
        "set_memory_target_live" => configure::set_memory_target_live,
        "set_VCPUs_max" => configure::set_vcpus_max,
        "set_VCPUs_at_startup" => configure::set_vcpus_at_startup,
        "set_VCPUs_number_live" => configure::set_vcpus_number_live,
        "set_appliance" => configure::set_appliance,
        "set_blocked_operations" | "add_to_blocked_operations" | "remove_from_blocked_operations" => configure::block,
        "compute_memory_overhead" => configure::compute_memory_overhead,
        "assert_operation_valid" => lifecycle::assert_operation_valid,
        "update_allowed_operations" => lifecycle::update_allowed_operations,
        "get_allowed_VBD_devices" => place::get_allowed_vbd_devices,
        "get_allowed_VIF_devices" => place::get_allowed_vif_devices,
        "get_possible_hosts" => place::get_possible_hosts,
        "assert_can_boot_here" => place::assert_can_boot_here,
        "assert_agile" => place::assert_agile,
        "get_cooperative" => place::get_cooperative,
        "send_sysrq" | "send_trigger" | "wait_memory_target_live" => place::nothing,
        "call_plugin" => plugin::call_plugin,
        _ => return None,
    })
}
