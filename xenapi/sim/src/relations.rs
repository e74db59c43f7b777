//! Which set field of one class mirrors which reference field of another.

/// A reference field and the set field of its target that lists the objects pointing there.
#[derive(Debug)]
pub(crate) struct Relation {
    pub(crate) class: &'static str,
    pub(crate) field: &'static str,
    pub(crate) target: &'static str,
    pub(crate) set: &'static str,
}

const fn relation(class: &'static str, field: &'static str, target: &'static str, set: &'static str) -> Relation {
    Relation {
        class,
        field,
        target,
        set,
    }
}

/// The one-to-many relations that the database keeps up by itself.
pub(crate) const RELATIONS: &[Relation] = &[
    relation("task", "subtask_of", "task", "subtasks"),
    relation("VM", "resident_on", "host", "resident_VMs"),
    relation("VM", "snapshot_of", "VM", "snapshots"),
    relation("VM", "parent", "VM", "children"),
    relation("VM", "appliance", "VM_appliance", "VMs"),
    relation("VM", "snapshot_schedule", "VMSS", "VMs"),
    relation("VBD", "VM", "VM", "VBDs"),
    relation("VBD", "VDI", "VDI", "VBDs"),
    relation("VIF", "VM", "VM", "VIFs"),
    relation("VIF", "network", "network", "VIFs"),
    relation("VTPM", "VM", "VM", "VTPMs"),
    relation("VUSB", "VM", "VM", "VUSBs"),
    relation("VUSB", "USB_group", "USB_group", "VUSBs"),
    relation("VGPU", "VM", "VM", "VGPUs"),
    relation("VGPU", "GPU_group", "GPU_group", "VGPUs"),
    relation("console", "VM", "VM", "consoles"),
    relation("crashdump", "VM", "VM", "crash_dumps"),
    relation("crashdump", "VDI", "VDI", "crash_dumps"),
    relation("VDI", "SR", "SR", "VDIs"),
    relation("VDI", "snapshot_of", "VDI", "snapshots"),
    relation("PBD", "SR", "SR", "PBDs"),
    relation("PBD", "host", "host", "PBDs"),
    relation("PIF", "host", "host", "PIFs"),
    relation("PIF", "network", "network", "PIFs"),
    relation("PIF", "bond_slave_of", "Bond", "slaves"),
    relation("Bond", "master", "PIF", "bond_master_of"),
    relation("VLAN", "tagged_PIF", "PIF", "VLAN_slave_of"),
    relation("tunnel", "access_PIF", "PIF", "tunnel_access_PIF_of"),
    relation("tunnel", "transport_PIF", "PIF", "tunnel_transport_PIF_of"),
    relation("network_sriov", "physical_PIF", "PIF", "sriov_physical_PIF_of"),
    relation("network_sriov", "logical_PIF", "PIF", "sriov_logical_PIF_of"),
    relation("host_cpu", "host", "host", "host_CPUs"),
    relation("host_crashdump", "host", "host", "crashdumps"),
    relation("host_patch", "host", "host", "patches"),
    relation("host_patch", "pool_patch", "pool_patch", "host_patches"),
    relation("PCI", "host", "host", "PCIs"),
    relation("PGPU", "host", "host", "PGPUs"),
    relation("PGPU", "GPU_group", "GPU_group", "PGPUs"),
    relation("PUSB", "host", "host", "PUSBs"),
    relation("PUSB", "USB_group", "USB_group", "PUSBs"),
    relation("Feature", "host", "host", "features"),
    relation("Certificate", "host", "host", "certificates"),
    relation("Cluster_host", "cluster", "Cluster", "cluster_hosts"),
    relation("Driver_variant", "driver", "Host_driver", "variants"),
    relation("PVS_server", "site", "PVS_site", "servers"),
    relation("PVS_proxy", "site", "PVS_site", "proxies"),
    relation("PVS_cache_storage", "site", "PVS_site", "cache_storage"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datamodel::Type;
    use crate::schema;

    #[test]
    fn every_relation_is_in_the_datamodel() {
        for relation in RELATIONS {
            let field = |class: &str, name: &str| {
                let info = schema::class(class).unwrap_or_else(|| panic!("{class}"));
                let at = info.field(name).unwrap_or_else(|| panic!("{class}.{name}"));
                info.fields()[at].ty
            };
            assert_eq!(
                field(relation.class, relation.field),
                Type::Ref(relation.target),
                "{relation:?}"
            );
            assert!(
                matches!(field(relation.target, relation.set), Type::Set(Type::Ref(of)) if *of == relation.class),
                "{relation:?}"
            );
        }
    }
}
