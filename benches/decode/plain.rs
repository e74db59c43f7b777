//! A VM in std's types, for decoders that cannot read xapi's spelling into typed records.
//!
//! `serde_xmlrpc` has no numbers where the server left the tag out, so integers take text as well.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, Visitor};

/// The wrapping of a successful reply, which `serde_xmlrpc` leaves to its caller.
#[derive(serde::Deserialize)]
#[expect(dead_code, reason = "decoded to be measured")]
pub(crate) struct Envelope {
    #[serde(rename = "Status")]
    status: String,
    #[serde(rename = "Value")]
    value: BTreeMap<String, Plain>,
}

/// An integer, tagged or not.
pub(crate) struct Whole(#[expect(dead_code, reason = "decoded to be measured")] i64);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl Visitor<'_> for Any {
            type Value = Whole;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an integer")
            }

            fn visit_i64<E>(self, number: i64) -> Result<Whole, E> {
                Ok(Whole(number))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Whole, E> {
                text.parse().map(Whole).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// All fields of a VM.
#[derive(serde::Deserialize)]
#[expect(dead_code, reason = "decoded to be measured")]
#[expect(non_snake_case, reason = "as on the wire")]
pub(crate) struct Plain {
    uuid: String,
    allowed_operations: Vec<String>,
    current_operations: BTreeMap<String, String>,
    name_label: String,
    name_description: String,
    power_state: String,
    user_version: Whole,
    is_a_template: bool,
    is_default_template: bool,
    suspend_VDI: String,
    resident_on: String,
    scheduled_to_be_resident_on: String,
    affinity: String,
    memory_overhead: Whole,
    memory_target: Whole,
    memory_static_max: Whole,
    memory_dynamic_max: Whole,
    memory_dynamic_min: Whole,
    memory_static_min: Whole,
    VCPUs_params: BTreeMap<String, String>,
    VCPUs_max: Whole,
    VCPUs_at_startup: Whole,
    actions_after_softreboot: String,
    actions_after_shutdown: String,
    actions_after_reboot: String,
    actions_after_crash: String,
    consoles: Vec<String>,
    VIFs: Vec<String>,
    VBDs: Vec<String>,
    VUSBs: Vec<String>,
    crash_dumps: Vec<String>,
    VTPMs: Vec<String>,
    PV_bootloader: String,
    PV_kernel: String,
    PV_ramdisk: String,
    PV_args: String,
    PV_bootloader_args: String,
    PV_legacy_args: String,
    HVM_boot_policy: String,
    HVM_boot_params: BTreeMap<String, String>,
    HVM_shadow_multiplier: f64,
    platform: BTreeMap<String, String>,
    PCI_bus: String,
    other_config: BTreeMap<String, String>,
    domid: Whole,
    domarch: String,
    last_boot_CPU_flags: BTreeMap<String, String>,
    is_control_domain: bool,
    metrics: String,
    guest_metrics: String,
    last_booted_record: String,
    recommendations: String,
    xenstore_data: BTreeMap<String, String>,
    ha_always_run: bool,
    ha_restart_priority: String,
    is_a_snapshot: bool,
    snapshot_of: String,
    snapshots: Vec<String>,
    snapshot_time: String,
    transportable_snapshot_id: String,
    blobs: BTreeMap<String, String>,
    tags: Vec<String>,
    blocked_operations: BTreeMap<String, String>,
    snapshot_info: BTreeMap<String, String>,
    snapshot_metadata: String,
    parent: String,
    children: Vec<String>,
    bios_strings: BTreeMap<String, String>,
    protection_policy: String,
    is_snapshot_from_vmpp: bool,
    snapshot_schedule: String,
    is_vmss_snapshot: bool,
    appliance: String,
    start_delay: Whole,
    shutdown_delay: Whole,
    order: Whole,
    VGPUs: Vec<String>,
    attached_PCIs: Vec<String>,
    suspend_SR: String,
    version: Whole,
    generation_id: String,
    hardware_platform_version: Whole,
    has_vendor_device: bool,
    requires_reboot: bool,
    reference_label: String,
    domain_type: String,
    NVRAM: BTreeMap<String, String>,
    pending_guidances: Vec<String>,
    pending_guidances_recommended: Vec<String>,
    pending_guidances_full: Vec<String>,
    groups: Vec<String>,
    secureboot_certificates_state: String,
}
