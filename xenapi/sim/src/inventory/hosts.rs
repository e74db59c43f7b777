//! Networks, hosts and what is built into them.

use xenapi::{ToValue, Value};

use super::{address, map, restrictions, set};
use crate::behaviour::{console, vm};
use crate::state::State;

pub(super) const CPUS: usize = 8;
pub(super) const VENDOR: &str = "GenuineIntel";
const MODEL: &str = "Simulated CPU @ 2.40GHz";
const GIB: i64 = 1 << 30;

/// Networks of the two interfaces that every host has, and the one inside each host.
pub(super) fn add_networks(state: &mut State) -> Vec<String> {
    let mut networks: Vec<_> = (0..2)
        .map(|number| {
            let fields = [
                (
                    "name_label",
                    format!("Pool-wide network associated with eth{number}").to_value(),
                ),
                ("bridge", format!("xenbr{number}").to_value()),
            ];
            state.create("network", &fields)
        })
        .collect();
    let internal = map(&[
        ("is_guest_installer_network", "true"),
        ("is_host_internal_management_network", "true"),
        ("ip_begin", "169.254.0.1"),
        ("ip_end", "169.254.255.254"),
        ("netmask", "255.255.0.0"),
    ]);
    let description = "Network on which guests will be assigned a private link-local IP address which can be used to \
                       talk XenAPI";
    let fields = [
        ("name_label", "Host internal management network".to_value()),
        ("name_description", description.to_value()),
        ("bridge", "xenapi".to_value()),
        ("other_config", internal),
    ];
    networks.push(state.create("network", &fields));
    networks
}

pub(super) fn add_hosts(state: &mut State, networks: &[String]) {
    for number in 0..state.config.hosts {
        let host = add_host(state, number);
        for (port, network) in networks.iter().take(2).enumerate() {
            add_interface(state, &host, number, port, network);
        }
        for cpu in 0..CPUS {
            add_cpu(state, &host, cpu);
        }
        add_pci_device(state, &host);
        add_control_domain(state, &host);
    }
    vm::count_free_memory(state);
}

fn add_host(state: &mut State, number: usize) -> String {
    let name = format!("host-{:02}", number + 1);
    // Enough for all VMs on one host, so that evacuations work.
    let memory = (256 * GIB).max(3 * GIB * state.config.vms as i64);
    let now = Value::DateTime(state.clock.now());
    let metrics = [
        ("memory_total", Value::Int(memory)),
        ("live", Value::Bool(true)),
        ("last_updated", now.clone()),
    ];
    let metrics = state.create("host_metrics", &metrics);
    let started = format!("{}.", state.clock.now().unix_seconds());
    let cpus = CPUS.to_string();
    let cpu_info = [
        ("cpu_count", cpus.as_str()),
        ("socket_count", "1"),
        ("threads_per_core", "1"),
        ("nr_nodes", "1"),
        ("vendor", VENDOR),
        ("speed", "2400.000"),
        ("modelname", MODEL),
        ("family", "6"),
        ("model", "85"),
        ("stepping", "4"),
        ("flags", ""),
        ("features_pv", ""),
        ("features_hvm", ""),
        ("features_hvm_host", ""),
        ("features_pv_host", ""),
    ];
    let bios_strings = [
        ("bios-vendor", "Xen"),
        ("system-manufacturer", "Xen"),
        ("system-product-name", "Simulated host"),
        ("oem-1", "Xen"),
        ("oem-2", "MS_VM_CERT/SHA1/bdbeb6e0a816d43fa6d3fe8aaef04c2bad9d3e3d"),
    ];
    let fields = [
        ("name_label", name.to_value()),
        ("name_description", "Default install".to_value()),
        ("memory_overhead", Value::Int(GIB / 2)),
        ("API_version_major", Value::Int(2)),
        ("API_version_minor", Value::Int(23)),
        ("API_version_vendor", "XenSource".to_value()),
        ("enabled", Value::Bool(true)),
        ("software_version", software_version(&name)),
        (
            "other_config",
            map(&[("agent_start_time", &started), ("boot_time", &started)]),
        ),
        (
            "capabilities",
            set(&["xen-3.0-x86_64", "hvm-3.0-x86_32", "hvm-3.0-x86_64"]),
        ),
        ("sched_policy", "credit".to_value()),
        ("supported_bootloaders", set(&["pygrub", "eliloader"])),
        ("cpu_info", map(&cpu_info)),
        ("hostname", name.to_value()),
        ("address", address(number).to_value()),
        ("metrics", metrics.to_value()),
        ("license_params", restrictions::none()),
        ("edition", "free/libre".to_value()),
        ("bios_strings", map(&bios_strings)),
        ("chipset_info", map(&[("iommu", "true")])),
        (
            "virtual_hardware_platform_versions",
            Value::Array(vec![Value::Int(0), Value::Int(1), Value::Int(2)]),
        ),
        ("https_only", Value::Bool(true)),
        ("latest_synced_updates_applied", "unknown".to_value()),
        ("ssh_enabled", Value::Bool(true)),
        ("ssh_auto_mode", Value::Bool(true)),
        ("ntp_mode", "Factory".to_value()),
        ("timezone", "Etc/UTC".to_value()),
        ("display", "enabled".to_value()),
        (
            "allowed_operations",
            set(&["vm_migrate", "provision", "vm_resume", "enable", "evacuate", "vm_start"]),
        ),
    ];
    let host = state.create("host", &fields);
    state.hosts.push(host.clone());
    host
}

fn software_version(hostname: &str) -> Value {
    map(&[
        ("product_version", "8.4.0"),
        ("product_version_text", "8.4"),
        ("product_version_text_short", "8.4"),
        ("platform_name", "XCP"),
        ("platform_version", "3.4.0"),
        ("product_brand", "XCP-ng"),
        ("xapi", "26.17"),
        ("build_number", "sim"),
        ("git_id", "sim"),
        ("hostname", hostname),
        ("date", "20260821T00:00:00Z"),
        ("xapi_build", "26.17.0"),
        ("xen", "4.17.5"),
        ("linux", "4.19.0+1"),
        ("xencenter_min", "2.23"),
        ("xencenter_max", "2.23"),
        ("network_backend", "openvswitch"),
        ("db_schema", "5.909"),
    ])
}

fn add_interface(state: &mut State, host: &str, number: usize, port: usize, network: &str) {
    let fields = [
        ("carrier", Value::Bool(true)),
        ("vendor_name", "Red Hat, Inc.".to_value()),
        ("device_name", "Virtio network device".to_value()),
        ("speed", Value::Int(10_000)),
        ("duplex", Value::Bool(true)),
        ("last_updated", Value::DateTime(state.clock.now())),
    ];
    let metrics = state.create("PIF_metrics", &fields);
    let mac = state.ids.mac();
    let mut fields = vec![
        ("device", format!("eth{port}").to_value()),
        ("network", network.to_value()),
        ("host", host.to_value()),
        ("MAC", mac.to_value()),
        ("MTU", Value::Int(1500)),
        ("VLAN", Value::Int(-1)),
        ("metrics", metrics.to_value()),
        ("physical", Value::Bool(true)),
        ("properties", map(&[("gro", "on")])),
        ("igmp_snooping_status", "disabled".to_value()),
    ];
    if port == 0 {
        fields.extend([
            ("management", Value::Bool(true)),
            ("ip_configuration_mode", "Static".to_value()),
            ("IP", address(number).to_value()),
            ("netmask", "255.255.0.0".to_value()),
        ]);
    }
    state.create("PIF", &fields);
}

fn add_cpu(state: &mut State, host: &str, number: usize) {
    let fields = [
        ("host", host.to_value()),
        ("number", Value::Int(number as i64)),
        ("vendor", VENDOR.to_value()),
        ("speed", Value::Int(2400)),
        ("modelname", MODEL.to_value()),
        ("family", Value::Int(6)),
        ("model", Value::Int(85)),
        ("stepping", "4".to_value()),
    ];
    state.create("host_cpu", &fields);
}

fn add_pci_device(state: &mut State, host: &str) {
    let fields = [
        ("class_id", "0200".to_value()),
        ("class_name", "Ethernet controller".to_value()),
        ("vendor_id", "1af4".to_value()),
        ("vendor_name", "Red Hat, Inc.".to_value()),
        ("device_id", "1041".to_value()),
        ("device_name", "Virtio 1.0 network device".to_value()),
        ("host", host.to_value()),
        ("pci_id", "0000:00:03.0".to_value()),
        ("driver_name", "virtio-pci".to_value()),
    ];
    state.create("PCI", &fields);
}

fn add_control_domain(state: &mut State, host: &str) {
    const MEMORY: i64 = 2 * GIB;
    let name = state.db.text("host", host, "name_label");
    let cpus = Value::Int(CPUS as i64);
    let utilisation = (0..CPUS).map(|cpu| (cpu.to_string(), Value::Float(0.0))).collect();
    let metrics = [
        ("VCPUs_number", cpus.clone()),
        ("VCPUs_utilisation", Value::Struct(utilisation)),
        ("current_domain_type", "pv".to_value()),
        ("memory_actual", Value::Int(MEMORY)),
    ];
    let metrics = state.create("VM_metrics", &metrics);
    let fields = [
        ("name_label", format!("Control domain on host: {name}").to_value()),
        (
            "name_description",
            "The domain which manages physical devices and manages other domains".to_value(),
        ),
        ("power_state", "Running".to_value()),
        ("user_version", Value::Int(1)),
        ("resident_on", host.to_value()),
        ("affinity", host.to_value()),
        ("memory_overhead", Value::Int(20 << 20)),
        ("memory_target", Value::Int(MEMORY)),
        ("memory_static_max", Value::Int(MEMORY)),
        ("memory_dynamic_max", Value::Int(MEMORY)),
        ("memory_dynamic_min", Value::Int(MEMORY)),
        ("memory_static_min", Value::Int(MEMORY)),
        ("VCPUs_max", cpus.clone()),
        ("VCPUs_at_startup", cpus),
        ("actions_after_shutdown", "destroy".to_value()),
        ("actions_after_reboot", "destroy".to_value()),
        ("actions_after_crash", "destroy".to_value()),
        ("domid", Value::Int(0)),
        ("domarch", "x64".to_value()),
        ("is_control_domain", Value::Bool(true)),
        ("metrics", metrics.to_value()),
        ("generation_id", "".to_value()),
        ("has_vendor_device", Value::Bool(false)),
        ("domain_type", "pv".to_value()),
    ];
    let domain = state.create("VM", &fields);
    console::add(state, &domain);
    state.db.set("host", host, "control_domain", domain.as_str());
    vm::refresh(state, &domain);
}
