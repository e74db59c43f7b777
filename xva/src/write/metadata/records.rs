//! The records, field by field.

use std::slice;

use super::super::spec::{DiskSpec, Firmware};
use super::Field::{Bool, Epoch, Float, Map, Number, Set, Text as Str};
use super::{EMPTY_MAP, EMPTY_SET, NO, NO_REF, NOTHING, NULL, Shared, Text, VifSpec, VmSpec, random_uuid};

/// What differs between drives.
pub(super) struct Drive<'a> {
    pub(super) vm: &'a str,
    pub(super) vdi: &'a str,
    pub(super) position: u32,
    pub(super) bootable: bool,
    pub(super) mode: &'a str,
    pub(super) kind: &'a str,
}

impl Text {
    pub(super) fn vm<S>(&mut self, id: &str, vm: &VmSpec<S>, drives: &[String], vifs: &[String]) {
        let uuid = vm.uuid.clone().unwrap_or_else(random_uuid);
        let (memory, vcpus) = (Number(vm.memory.into()), Number(vm.vcpus.into()));
        let (firmware, device_model, secure_boot) = match vm.firmware {
            Firmware::Bios => ("bios", "qemu-upstream-compat", "false"),
            Firmware::Uefi => ("uefi", "qemu-upstream-uefi", "false"),
            Firmware::UefiSecureBoot => ("uefi", "qemu-upstream-uefi", "true"),
        };
        let mut platform = vec![
            ("acpi", "1"),
            ("apic", "true"),
            ("device-model", device_model),
            ("hpet", "true"),
            ("nx", "true"),
            ("pae", "true"),
            ("secureboot", secure_boot),
            ("viridian", "true"),
        ];
        overlay(&mut platform, &vm.platform);
        let mac_seed = random_uuid();
        let mut other_config = vec![("mac_seed", &mac_seed[..])];
        overlay(&mut other_config, &vm.other_config);
        self.object(
            "VM",
            id,
            &[
                ("uuid", Str(&uuid)),
                ("allowed_operations", EMPTY_SET),
                ("current_operations", EMPTY_MAP),
                ("name_label", Str(&vm.name_label)),
                ("name_description", Str(&vm.name_description)),
                ("power_state", Str("Halted")),
                ("user_version", Number(1)),
                ("is_a_template", NO),
                ("is_default_template", NO),
                ("suspend_VDI", NO_REF),
                ("resident_on", NO_REF),
                ("scheduled_to_be_resident_on", NO_REF),
                ("affinity", NO_REF),
                ("memory_overhead", Number(0)),
                ("memory_target", Number(0)),
                ("memory_static_max", memory),
                ("memory_dynamic_max", memory),
                ("memory_dynamic_min", memory),
                ("memory_static_min", memory),
                ("VCPUs_params", EMPTY_MAP),
                ("VCPUs_max", vcpus),
                ("VCPUs_at_startup", vcpus),
                ("actions_after_softreboot", Str("soft_reboot")),
                ("actions_after_shutdown", Str("destroy")),
                ("actions_after_reboot", Str("restart")),
                ("actions_after_crash", Str("restart")),
                ("consoles", EMPTY_SET),
                ("VIFs", Set(vifs)),
                ("VBDs", Set(drives)),
                ("VUSBs", EMPTY_SET),
                ("crash_dumps", EMPTY_SET),
                ("VTPMs", EMPTY_SET),
                ("PV_bootloader", NOTHING),
                ("PV_kernel", NOTHING),
                ("PV_ramdisk", NOTHING),
                ("PV_args", NOTHING),
                ("PV_bootloader_args", NOTHING),
                ("PV_legacy_args", NOTHING),
                ("HVM_boot_policy", Str("BIOS order")),
                (
                    "HVM_boot_params",
                    Map(&[("firmware", firmware), ("order", &vm.boot_order)]),
                ),
                ("HVM_shadow_multiplier", Float("1")),
                ("platform", Map(&platform)),
                ("PCI_bus", NOTHING),
                ("other_config", Map(&other_config)),
                ("domid", Number(-1)),
                ("domarch", NOTHING),
                ("last_boot_CPU_flags", EMPTY_MAP),
                ("is_control_domain", NO),
                ("metrics", NO_REF),
                ("guest_metrics", NO_REF),
                ("last_booted_record", NOTHING),
                ("recommendations", NOTHING),
                ("xenstore_data", EMPTY_MAP),
                ("ha_always_run", NO),
                ("ha_restart_priority", NOTHING),
                ("is_a_snapshot", NO),
                ("snapshot_of", NO_REF),
                ("snapshots", EMPTY_SET),
                ("snapshot_time", Epoch),
                ("transportable_snapshot_id", NOTHING),
                ("blobs", EMPTY_MAP),
                ("tags", EMPTY_SET),
                ("blocked_operations", EMPTY_MAP),
                ("snapshot_info", EMPTY_MAP),
                ("snapshot_metadata", NOTHING),
                ("parent", NO_REF),
                ("children", EMPTY_SET),
                ("bios_strings", EMPTY_MAP),
                ("protection_policy", NO_REF),
                ("is_snapshot_from_vmpp", NO),
                ("snapshot_schedule", NO_REF),
                ("is_vmss_snapshot", NO),
                ("appliance", NO_REF),
                ("start_delay", Number(0)),
                ("shutdown_delay", Number(0)),
                ("order", Number(0)),
                ("VGPUs", EMPTY_SET),
                ("attached_PCIs", EMPTY_SET),
                ("suspend_SR", NO_REF),
                ("version", Number(0)),
                ("generation_id", NOTHING),
                ("hardware_platform_version", Number(0)),
                ("has_vendor_device", NO),
                ("requires_reboot", NO),
                ("reference_label", NOTHING),
                ("domain_type", Str("hvm")),
                ("NVRAM", EMPTY_MAP),
                ("pending_guidances", EMPTY_SET),
                ("pending_guidances_recommended", EMPTY_SET),
                ("pending_guidances_full", EMPTY_SET),
                ("groups", EMPTY_SET),
                ("secureboot_certificates_state", Str("ok")),
            ],
        );
    }

    pub(super) fn vbd(&mut self, id: &str, drive: &Drive<'_>) {
        self.object(
            "VBD",
            id,
            &[
                ("uuid", Str(&random_uuid())),
                ("allowed_operations", EMPTY_SET),
                ("current_operations", EMPTY_MAP),
                ("VM", Str(drive.vm)),
                ("VDI", Str(drive.vdi)),
                ("device", NOTHING),
                ("userdevice", Number(drive.position.into())),
                ("bootable", Bool(drive.bootable)),
                ("mode", Str(drive.mode)),
                ("type", Str(drive.kind)),
                ("unpluggable", Bool(true)),
                ("storage_lock", NO),
                ("empty", Bool(drive.vdi == NULL)),
                ("other_config", EMPTY_MAP),
                ("currently_attached", NO),
                ("status_code", Number(0)),
                ("status_detail", NOTHING),
                ("runtime_properties", EMPTY_MAP),
                ("qos_algorithm_type", NOTHING),
                ("qos_algorithm_params", EMPTY_MAP),
                ("qos_supported_algorithms", EMPTY_SET),
                ("metrics", NO_REF),
            ],
        );
    }

    pub(super) fn vif(&mut self, id: &str, vm: &str, device: usize, network: &str, vif: &VifSpec) {
        self.object(
            "VIF",
            id,
            &[
                ("uuid", Str(&random_uuid())),
                ("allowed_operations", EMPTY_SET),
                ("current_operations", EMPTY_MAP),
                ("device", Number(device as i128)),
                ("network", Str(network)),
                ("VM", Str(vm)),
                ("MAC", Str(vif.mac.as_deref().unwrap_or_default())),
                ("MTU", Number(vif.mtu.into())),
                ("other_config", EMPTY_MAP),
                ("currently_attached", NO),
                ("status_code", Number(0)),
                ("status_detail", NOTHING),
                ("runtime_properties", EMPTY_MAP),
                ("qos_algorithm_type", NOTHING),
                ("qos_algorithm_params", EMPTY_MAP),
                ("qos_supported_algorithms", EMPTY_SET),
                ("metrics", NO_REF),
                ("MAC_autogenerated", Bool(vif.mac.is_none())),
                ("locking_mode", Str("network_default")),
                ("ipv4_allowed", EMPTY_SET),
                ("ipv6_allowed", EMPTY_SET),
                ("ipv4_configuration_mode", Str("None")),
                ("ipv4_addresses", EMPTY_SET),
                ("ipv4_gateway", NOTHING),
                ("ipv6_configuration_mode", Str("None")),
                ("ipv6_addresses", EMPTY_SET),
                ("ipv6_gateway", NOTHING),
                ("trunks", EMPTY_SET),
            ],
        );
    }

    pub(super) fn network(&mut self, network: &Shared<'_>) {
        self.object(
            "network",
            &network.id,
            &[
                ("uuid", Str(&random_uuid())),
                ("name_label", Str(network.name)),
                ("name_description", NOTHING),
                ("allowed_operations", EMPTY_SET),
                ("current_operations", EMPTY_MAP),
                ("VIFs", Set(&network.users)),
                ("PIFs", EMPTY_SET),
                ("MTU", Number(1500)),
                ("other_config", EMPTY_MAP),
                ("bridge", Str(network.bridge)),
                ("managed", Bool(true)),
                ("blobs", EMPTY_MAP),
                ("tags", EMPTY_SET),
                ("default_locking_mode", Str("unlocked")),
                ("assigned_ips", EMPTY_MAP),
                ("purpose", EMPTY_SET),
            ],
        );
    }

    pub(super) fn vdi<S>(&mut self, id: &str, disk: &DiskSpec<S>, sr: &str, vbd: &String, size: u64) {
        let uuid = random_uuid();
        self.object(
            "VDI",
            id,
            &[
                ("uuid", Str(&uuid)),
                ("name_label", Str(&disk.name_label)),
                ("name_description", Str(&disk.name_description)),
                ("allowed_operations", EMPTY_SET),
                ("current_operations", EMPTY_MAP),
                ("SR", Str(sr)),
                ("VBDs", Set(slice::from_ref(vbd))),
                ("crash_dumps", EMPTY_SET),
                ("virtual_size", Number(size.into())),
                ("physical_utilisation", Number(size.into())),
                ("type", Str("user")),
                ("sharable", NO),
                ("read_only", NO),
                ("other_config", EMPTY_MAP),
                ("storage_lock", NO),
                ("location", Str(&uuid)),
                ("managed", Bool(true)),
                ("missing", NO),
                ("parent", NO_REF),
                ("xenstore_data", EMPTY_MAP),
                ("sm_config", EMPTY_MAP),
                ("is_a_snapshot", NO),
                ("snapshot_of", NO_REF),
                ("snapshots", EMPTY_SET),
                ("snapshot_time", Epoch),
                ("tags", EMPTY_SET),
                ("allow_caching", NO),
                ("on_boot", Str("persist")),
                ("metadata_of_pool", NO_REF),
                ("metadata_latest", NO),
                ("is_tools_iso", NO),
                ("cbt_enabled", NO),
            ],
        );
    }

    pub(super) fn sr(&mut self, sr: &Shared<'_>) {
        self.object(
            "SR",
            &sr.id,
            &[
                ("uuid", Str(&random_uuid())),
                ("name_label", Str(sr.name)),
                ("name_description", NOTHING),
                ("allowed_operations", EMPTY_SET),
                ("current_operations", EMPTY_MAP),
                ("VDIs", Set(&sr.users)),
                ("PBDs", EMPTY_SET),
                ("virtual_allocation", Number(0)),
                ("physical_utilisation", Number(0)),
                ("physical_size", Number(0)),
                ("type", Str("file")),
                ("content_type", Str("user")),
                ("shared", NO),
                ("other_config", EMPTY_MAP),
                ("tags", EMPTY_SET),
                ("sm_config", EMPTY_MAP),
                ("blobs", EMPTY_MAP),
                ("local_cache_enabled", NO),
                ("introduced_by", NO_REF),
                ("clustered", NO),
                ("is_tools_sr", NO),
            ],
        );
    }
}

/// Puts entries over those that are there.
fn overlay<'a>(map: &mut Vec<(&'a str, &'a str)>, entries: &'a [(String, String)]) {
    for (key, value) in entries {
        match map.iter_mut().find(|(known, _)| known == key) {
            Some(entry) => entry.1 = value,
            None => map.push((key, value)),
        }
    }
}
