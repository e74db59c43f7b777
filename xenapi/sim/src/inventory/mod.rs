//! The objects that a pool is built with.

mod hosts;
mod restrictions;
mod storage;
mod vms;

pub(crate) use self::vms::add as add_vm;

use xenapi::{ToValue, Value};

use crate::state::State;

/// The address of a host where requests stay in the process.
pub(crate) fn address(host: usize) -> String {
    format!("10.0.{}.{}", host / 250, host % 250 + 1)
}

/// Fills an empty pool.
pub(crate) fn build(state: &mut State) {
    add_accounts(state);
    let networks = hosts::add_networks(state);
    hosts::add_hosts(state, &networks);
    let storage = storage::add(state);
    add_pool(state, &storage.shared);
    vms::add_templates(state);
    vms::add_vms(state, &storage, networks.first().map_or("", String::as_str));
}

/// A map from texts.
fn map(entries: &[(&str, &str)]) -> Value {
    Value::Struct(
        entries
            .iter()
            .map(|(key, value)| ((*key).to_owned(), value.to_value()))
            .collect(),
    )
}

/// A set of texts.
fn set(items: &[&str]) -> Value {
    Value::Array(items.iter().map(|item| item.to_value()).collect())
}

fn add_accounts(state: &mut State) {
    const ROLES: [(&str, &str); 7] = [
        (
            "pool-admin",
            "The Pool Administrator role has full access to all features and settings",
        ),
        (
            "pool-operator",
            "The Pool Operator role manages host- and pool-wide resources",
        ),
        (
            "vm-power-admin",
            "The VM Power Administrator role has full access to VM and template management",
        ),
        ("vm-admin", "The VM Administrator role can manage VMs and templates"),
        (
            "vm-operator",
            "The VM Operator role can use VMs and interact with VM consoles",
        ),
        ("read-only", "The Read-Only role can log in with basic read-only access"),
        ("client-cert", "The role of clients that are known by their certificate"),
    ];
    for (name, description) in ROLES {
        let fields = [
            ("name_label", name.to_value()),
            ("name_description", description.to_value()),
        ];
        state.create("role", &fields);
    }
    add_subjects(state);
    let user = state.config.superuser.clone();
    state.create(
        "user",
        &[("short_name", user.to_value()), ("fullname", user.to_value())],
    );
}

/// Makes the objects of the users beside the superuser that have none.
pub(crate) fn add_subjects(state: &mut State) {
    for account in state.config.accounts.clone() {
        if state.db.find("subject", "subject_identifier", &account.name).is_some() {
            continue;
        }
        let role = state.db.find("role", "name_label", account.role.as_str());
        let fields = [
            ("subject_identifier", account.name.to_value()),
            ("other_config", map(&[("subject-name", &account.name)])),
            ("roles", Value::Array(role.map(Value::String).into_iter().collect())),
        ];
        state.create("subject", &fields);
    }
}

fn add_pool(state: &mut State, default_sr: &str) {
    let telemetry = state.ids.uuid();
    let telemetry = state.create("secret", &[("value", telemetry.to_value())]);
    let hosts = state.hosts.len();
    let fields = [
        ("name_label", "lab".to_value()),
        ("name_description", "A simulated pool".to_value()),
        ("master", state.coordinator().to_value()),
        ("default_SR", default_sr.to_value()),
        ("suspend_image_SR", default_sr.to_value()),
        ("crash_dump_SR", default_sr.to_value()),
        (
            "other_config",
            map(&[("memory-ratio-hvm", "0.25"), ("memory-ratio-pv", "0.25")]),
        ),
        ("restrictions", restrictions::none()),
        ("ha_cluster_stack", "xhad".to_value()),
        (
            "allowed_operations",
            set(&[
                "ha_enable",
                "cluster_create",
                "designate_new_master",
                "sync_updates",
                "apply_updates",
                "eject",
            ]),
        ),
        (
            "cpu_info",
            map(&[
                ("features_hvm_host", ""),
                ("features_pv_host", ""),
                ("socket_count", &hosts.to_string()),
                ("cpu_count", &(hosts * hosts::CPUS).to_string()),
                ("vendor", hosts::VENDOR),
            ]),
        ),
        ("ext_auth_cache_enabled", Value::Bool(false)),
        ("telemetry_uuid", telemetry.to_value()),
    ];
    state.create("pool", &fields);
}
