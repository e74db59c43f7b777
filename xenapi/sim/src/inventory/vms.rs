//! Templates and VMs.

use xenapi::{ToValue, Value};

use super::map;
use super::storage::Storage;
use crate::behaviour::{vbd, vdi, vif, vm};
use crate::disk_image::DiskImage;
use crate::error::Result;
use crate::sample_disks::{Kind, SampleDisks};
use crate::schema::NULL;
use crate::spec::VmSpec;
use crate::state::State;

const GIB: u64 = 1 << 30;

/// Templates that an installation brings along.
const TEMPLATES: [&str; 6] = [
    "Debian Bookworm 12",
    "Ubuntu Noble Numbat 24.04",
    "Rocky Linux 9",
    "Windows Server 2022 (64-bit)",
    "Windows 11",
    "Other install media",
];

pub(super) fn add_templates(state: &mut State) {
    const DISKS: &str =
        "<provision><disk device=\"0\" size=\"10737418240\" sr=\"\" bootable=\"true\" type=\"system\"/></provision>";
    for name in TEMPLATES {
        let template = vm::Template {
            name,
            description: "",
            memory: 1 << 31,
            vcpus: 1,
            is_a_template: true,
        };
        let reference = state.create("VM", &template.fields());
        let disks = map(&[("default_template", "true"), ("disks", DISKS)]);
        state.db.set("VM", &reference, "other_config", disks);
        state.db.set("VM", &reference, "is_default_template", true);
        state.db.set(
            "VM",
            &reference,
            "reference_label",
            name.to_lowercase().replace(' ', "-"),
        );
        vm::add_metrics(state, &reference);
    }
}

/// The names of VMs: each role in turn, with a number.
const ROLES: [(&str, &str); 4] = [
    ("web", "Web server"),
    ("db", "Database"),
    ("app", "Application server"),
    ("win", "Windows desktop"),
];

pub(super) fn add_vms(state: &mut State, storage: &Storage, network: &str) {
    let mut disks = SampleDisks::default();
    for number in 0..state.config.vms {
        let (role, description) = ROLES[number % ROLES.len()];
        let name = format!("{role}-{:02}", number / ROLES.len() + 1);
        let seed = state.config.seed.wrapping_add(number as u64);
        let (kind, size) = match role {
            "win" => (Kind::Windows, 32 * GIB),
            "app" if number < ROLES.len() => (Kind::Gpt, 16 * GIB),
            _ => (Kind::Grub, 16 * GIB),
        };
        let mut spec = VmSpec::new(&name)
            .description(description)
            .disk(disks.take(kind, size, seed));
        if role == "db" {
            spec = spec.disk(disks.take(Kind::Data, 64 * GIB, seed));
        }
        if number % 3 == 1 {
            spec = spec.halted();
        }
        let host = number % state.hosts.len().max(1);
        // Some disks lie where only one host sees them, so that exports have to be redirected.
        let local = storage.local.get(host).filter(|_| number % 5 == 4);
        let sr = local.unwrap_or(&storage.shared).clone();
        // The inventory's storage is as large as its disks need.
        if let Ok(reference) = add(state, spec, &sr, network, host)
            && number == 0
        {
            let _ = vm::take_snapshot(state, &reference, "before update", &[]);
        }
    }
}

/// Adds a VM with its disks, an empty CD drive and a network interface.
pub(crate) fn add(state: &mut State, spec: VmSpec, sr: &str, network: &str, host: usize) -> Result<String> {
    let mut disks = Vec::new();
    for (number, image) in spec.disks.into_iter().enumerate() {
        let name = format!("{} {number}", spec.name);
        disks.push(add_disk(state, sr, &name, image)?);
    }
    let template = vm::Template {
        name: &spec.name,
        description: &spec.description,
        memory: spec.memory,
        vcpus: spec.vcpus,
        is_a_template: false,
    };
    let reference = state.create("VM", &template.fields());
    let seed = state.ids.uuid();
    let mut other_config = vec![("mac_seed", seed.as_str())];
    if !spec.agent {
        other_config.push((vm::AGENT, "none"));
    }
    state.db.set("VM", &reference, "other_config", map(&other_config));
    vm::add_metrics(state, &reference);
    for (number, disk) in disks.iter().enumerate() {
        // The CD drive has number 3, as in VMs that XenCenter makes.
        let number = if number < 3 { number } else { number + 1 };
        vbd::add_disk(state, &reference, disk, &number.to_string(), number == 0);
    }
    vbd::add_drive(state, &reference, "3");
    let fields = [
        ("device", "0".to_value()),
        ("network", network.to_value()),
        ("VM", reference.to_value()),
        ("MAC", "".to_value()),
        ("MTU", Value::Int(1500)),
    ];
    vif::add(state, &fields);
    let host = state.hosts.get(host).cloned().unwrap_or_else(|| NULL.to_owned());
    if spec.running && state.db.exists("host", &host) {
        vm::start_on_host(state, &reference, &host, false);
    } else {
        vm::refresh(state, &reference);
    }
    Ok(reference)
}

fn add_disk(state: &mut State, sr: &str, name: &str, image: DiskImage) -> Result<String> {
    let size = i64::try_from(image.size()).unwrap_or(i64::MAX);
    let fields = [
        ("name_label", name.to_value()),
        ("SR", sr.to_value()),
        ("virtual_size", Value::Int(size)),
        ("type", "user".to_value()),
    ];
    let disk = vdi::add(state, &fields, i64::try_from(image.used()).unwrap_or(i64::MAX))?;
    state.images.insert(disk.clone(), image.into());
    Ok(disk)
}
