//! Storage repositories and the ISOs in the library.

use xenapi::storage::Driver;
use xenapi::{ToValue, Value};

use super::{map, set};
use crate::behaviour::{sr, vdi};
use crate::outside::{self, DEVICES, NFS_SERVER};
use crate::sample_disks::{Kind, SampleDisks};
use crate::state::State;

const GIB: i64 = 1 << 30;

/// The SRs that the VMs of the inventory use.
#[derive(Debug)]
pub(super) struct Storage {
    pub(super) shared: String,
    /// One a host.
    pub(super) local: Vec<String>,
}

/// The names of the ISOs, in the order in which they are added.
const ISOS: [(&str, i64); 8] = [
    ("debian-12.11.0-amd64-netinst.iso", 670 << 20),
    ("ubuntu-24.04.2-live-server-amd64.iso", 3050 << 20),
    ("Rocky-9.6-x86_64-minimal.iso", 2480 << 20),
    ("Windows_Server_2022.iso", 5300 << 20),
    ("alpine-virt-3.22.1-x86_64.iso", 66 << 20),
    ("systemrescue-12.01-amd64.iso", 1100 << 20),
    ("memtest86-10.7.iso", 12 << 20),
    ("virtio-drivers-0.1.271.iso", 700 << 20),
];

/// The types of SR that the hosts have drivers for, and the drivers' names.
const DRIVERS: [(&str, &str); 8] = [
    ("ext", "Local EXT3 VHD"),
    ("nfs", "NFS VHD"),
    ("iso", "ISO"),
    ("file", "File VHD"),
    ("lvm", "Local VHD on LVM"),
    ("lvmoiscsi", "VHD over iSCSI"),
    ("lvmohba", "VHD over FC"),
    ("smb", "SMB VHD"),
];

pub(super) fn add(state: &mut State) -> Storage {
    for (kind, name) in DRIVERS {
        add_driver(state, kind, name);
    }
    let hosts = state.hosts.clone();
    let size = (20 * 1024 * GIB).max(200 * GIB * state.config.vms as i64);
    let shared = sr::add(state, &fields("Shared storage", "nfs", "user", true, size), &hosts);
    locate(state, &shared, &[("server", NFS_SERVER), ("serverpath", "/export/xen")]);
    state
        .outside
        .add(&state.uuid("SR", &shared), format!("nfs {NFS_SERVER}:/export/xen"));
    let local = hosts
        .iter()
        .enumerate()
        .map(|(number, host)| {
            let local = sr::add(
                state,
                &fields("Local storage", "ext", "user", false, size),
                std::slice::from_ref(host),
            );
            state
                .db
                .set("SR", &local, "other_config", map(&[("i18n-key", "local-storage")]));
            locate(state, &local, &[("device", DEVICES[0])]);
            let place = outside::local(number, DEVICES[0]);
            state.outside.add(&state.uuid("SR", &local), place);
            local
        })
        .collect();
    add_library(state, &hosts);
    add_tools(state, &hosts);
    Storage { shared, local }
}

fn fields(name: &str, kind: &str, content: &str, shared: bool, size: i64) -> Vec<(&'static str, Value)> {
    vec![
        ("name_label", name.to_value()),
        ("type", kind.to_value()),
        ("content_type", content.to_value()),
        ("shared", Value::Bool(shared)),
        ("physical_size", Value::Int(size)),
    ]
}

/// Has the PBDs of an SR tell where it is.
fn locate(state: &mut State, sr: &str, config: &[(&str, &str)]) {
    for pbd in state.db.list("SR", sr, "PBDs") {
        state.db.set("PBD", &pbd, "device_config", map(config));
    }
}

fn add_library(state: &mut State, hosts: &[String]) {
    let library = sr::add(state, &fields("ISO library", "iso", "iso", true, 1024 * GIB), hosts);
    let location = format!("{NFS_SERVER}:/export/isos");
    locate(state, &library, &[("location", &location)]);
    for number in 0..state.config.isos {
        let (name, size) = ISOS[number % ISOS.len()];
        let name = if number < ISOS.len() {
            name.to_owned()
        } else {
            format!("{}-{name}", number / ISOS.len() + 1)
        };
        add_iso(state, &library, &name, size);
    }
}

fn add_tools(state: &mut State, hosts: &[String]) {
    let tools = sr::add(state, &fields("XCP-ng Tools", "iso", "iso", true, GIB), hosts);
    let location = ("location", "/opt/xensource/packages/iso");
    locate(state, &tools, &[location, ("legacy_mode", "true")]);
    state.db.set("SR", &tools, "is_tools_sr", true);
    if let Some(iso) = add_iso(state, &tools, "guest-tools.iso", 8 << 20) {
        state.db.set("VDI", &iso, "is_tools_iso", true);
    }
}

/// An ISO starts with its volume descriptor, so that what reads one finds it.
fn add_iso(state: &mut State, library: &str, name: &str, size: i64) -> Option<String> {
    let fields = [
        ("name_label", name.to_value()),
        ("SR", library.to_value()),
        ("virtual_size", Value::Int(size)),
        ("type", "user".to_value()),
        ("sharable", Value::Bool(false)),
        ("read_only", Value::Bool(true)),
    ];
    let iso = vdi::add(state, &fields, size).ok()?;
    state.db.set("VDI", &iso, "location", name);
    let size = u64::try_from(size).unwrap_or_default();
    let image = SampleDisks::default().take(Kind::Iso, size, 0);
    state.images.insert(iso.clone(), image.into());
    Some(iso)
}

fn add_driver(state: &mut State, kind: &str, name: &str) {
    const CAPABILITIES: &[&str] = &[
        "SR_PROBE",
        "SR_UPDATE",
        "VDI_ATTACH",
        "VDI_CLONE",
        "VDI_CREATE",
        "VDI_DELETE",
        "VDI_DETACH",
        "VDI_RESIZE",
        "VDI_SNAPSHOT",
    ];
    let features = CAPABILITIES
        .iter()
        .map(|&name| (name.to_owned(), Value::Int(1)))
        .collect();
    let keys = Driver::of(kind).map_or(&[][..], |driver| driver.keys);
    let keys = keys.iter().map(|key| {
        let about = if key.is_needed {
            format!("{} (required)", key.about)
        } else {
            key.about.to_owned()
        };
        (key.name.to_owned(), about.to_value())
    });
    let fields = [
        ("configuration", Value::Struct(keys.collect())),
        ("name_label", name.to_value()),
        ("name_description", format!("SR plugin for {name}").to_value()),
        ("type", kind.to_value()),
        ("vendor", "Citrix Systems Inc".to_value()),
        ("version", "1.0".to_value()),
        ("required_api_version", "1.0".to_value()),
        ("capabilities", set(CAPABILITIES)),
        ("features", Value::Struct(features)),
        (
            "driver_filename",
            format!("/opt/xensource/sm/{}SR", kind.to_uppercase()).to_value(),
        ),
    ];
    state.create("SM", &fields);
}
