//! The order in which xapi goes through its classes: that of the datamodel's source, with no rule behind it.

/// The names of all classes. One of them, `Diagnostics`, is for hosts among themselves and in no table of the
/// datamodel.
pub(crate) const CLASS_ORDER: [&str; 73] = [
    "session",
    "auth",
    "subject",
    "role",
    "task",
    "event",
    "pool",
    "pool_patch",
    "pool_update",
    "VM",
    "VM_metrics",
    "VM_guest_metrics",
    "VMPP",
    "VMSS",
    "VM_appliance",
    "DR_task",
    "host",
    "host_crashdump",
    "host_patch",
    "host_metrics",
    "host_cpu",
    "network",
    "VIF",
    "VIF_metrics",
    "PIF",
    "PIF_metrics",
    "Bond",
    "VLAN",
    "SM",
    "SR",
    "sr_stat",
    "probe_result",
    "LVHD",
    "VDI",
    "VBD",
    "VBD_metrics",
    "PBD",
    "crashdump",
    "VTPM",
    "console",
    "user",
    "data_source",
    "blob",
    "message",
    "secret",
    "tunnel",
    "network_sriov",
    "PCI",
    "PGPU",
    "GPU_group",
    "VGPU",
    "VGPU_type",
    "PVS_site",
    "PVS_server",
    "PVS_proxy",
    "PVS_cache_storage",
    "Feature",
    "SDN_controller",
    "vdi_nbd_server_info",
    "PUSB",
    "USB_group",
    "VUSB",
    "Cluster",
    "Cluster_host",
    "Certificate",
    "Diagnostics",
    "Repository",
    "Observer",
    "VM_group",
    "Host_driver",
    "Driver_variant",
    "Caller",
    "Rate_limit",
];

/// Where a class stands; a class that the order does not know comes last.
pub(crate) fn position(name: &str) -> usize {
    CLASS_ORDER
        .iter()
        .position(|known| *known == name)
        .unwrap_or(CLASS_ORDER.len())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::tables::CLASSES;

    #[test]
    fn the_order_has_every_class_once() {
        let ordered: BTreeSet<_> = CLASS_ORDER.into_iter().collect();
        let known: BTreeSet<_> = CLASSES.iter().map(|class| class.name).chain(["Diagnostics"]).collect();
        assert_eq!(ordered, known);
        assert_eq!(ordered.len(), CLASS_ORDER.len());
    }
}
