//! No two things get one name.

use std::collections::BTreeMap;
use std::path::Path;

use xenapi_codegen::expand;
use xenapi_codegen::model::Datamodel;
use xenapi_codegen::{names, store};

fn model() -> Datamodel {
    store::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../datamodel")).unwrap()
}

/// Fails where two wire names share a Rust name.
fn distinct(place: &str, pairs: impl IntoIterator<Item = (String, String)>) {
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    for (rust, wire) in pairs {
        if let Some(other) = seen.insert(rust.clone(), wire.clone()) {
            panic!("{place}: {other} and {wire} are both called {rust}");
        }
    }
}

#[test]
fn classes_have_names_of_their_own() {
    let model = model();
    let of = |name: fn(&str) -> String| {
        model
            .classes
            .iter()
            .map(move |class| (name(&class.name), class.name.clone()))
    };
    distinct(
        "types",
        of(names::handle)
            .chain(of(names::record))
            .chain(of(names::collection))
            .filter(|(_, class)| class != "auth" && class != "event"),
    );
    distinct(
        "client",
        of(names::module)
            .chain(of(names::plural))
            .filter(|(_, class)| class != "auth"),
    );
}

#[test]
fn members_have_names_of_their_own() {
    for class in &model().classes {
        let fields = class
            .fields
            .iter()
            .map(|field| (names::member(&field.name), field.name.clone()));
        distinct(
            &names::record(&class.name),
            fields.chain([("unknown".to_owned(), "the rest".to_owned())]),
        );
        let messages = expand::messages(class);
        let methods = messages
            .iter()
            .map(|message| (names::method(&class.name, &message.name), message.name.clone()));
        let with = messages
            .iter()
            .filter(|message| message.params.iter().any(|param| param.default.is_some()));
        let with = with.map(|message| {
            (
                names::method(&class.name, &message.name) + "_with",
                message.name.clone(),
            )
        });
        let own = ["reference", "client"].map(|name| (name.to_owned(), "a method of every handle".to_owned()));
        distinct(&class.name, methods.chain(with).chain(own));
        for message in &messages {
            let params = message
                .params
                .iter()
                .map(|param| (names::member(&param.name), param.name.clone()));
            distinct(
                &message.name,
                params.chain([("optional".to_owned(), "the options".to_owned())]),
            );
        }
    }
}

#[test]
fn values_have_names_of_their_own() {
    let model = model();
    let other = || [("Other".to_owned(), "the unknown".to_owned())];
    for item in &model.enums {
        let values = item.values.iter().map(|value| (names::variant(value), value.clone()));
        distinct(&item.name, values.chain(other()));
    }
    let codes = model
        .errors
        .iter()
        .map(|error| (names::variant(&error.name), error.name.clone()));
    distinct("error codes", codes.chain(other()));
    for class in &model.classes {
        let users = model
            .enums
            .iter()
            .filter(|item| names::users(&model, &item.name).contains(&class));
        let enums = users.map(|item| (names::enumeration(&model, item), item.name.clone()));
        let options = expand::messages(class)
            .into_iter()
            .map(|message| (names::pascal(&message.name) + "Options", message.name));
        distinct(&class.name, enums.chain(options));
    }
}

#[test]
fn acronyms_stay_whole() {
    assert_eq!(names::snake("VCPUs_max"), "vcpus_max");
    assert_eq!(names::snake("suspend_VDI"), "suspend_vdi");
    assert_eq!(names::snake("HVM_boot_params"), "hvm_boot_params");
    assert_eq!(names::snake("IPv6"), "ipv6");
    assert_eq!(names::snake("restartHVM"), "restart_hvm");
    assert_eq!(names::snake("vM"), "vm");
    assert_eq!(names::handle("VM_guest_metrics"), "VmGuestMetrics");
    assert_eq!(names::variant("balance-slb"), "BalanceSlb");
}

#[test]
fn methods_read_well() {
    assert_eq!(names::method("VM", "get_by_name_label"), "by_name_label");
    assert_eq!(names::method("VM", "get_all_records"), "all_records");
    assert_eq!(names::method("VBD", "get_type"), "kind");
    assert_eq!(names::method("VBD", "set_type"), "set_kind");
    assert_eq!(names::method("VIF", "move"), "move_to");
    assert_eq!(names::method("event", "from"), "changes_since");
    assert_eq!(names::plural("Repository"), "repositories");
    assert_eq!(names::plural("PVS_proxy"), "pvs_proxies");
    assert_eq!(names::plural("pool_patch"), "pool_patches");
    assert_eq!(names::plural("host_metrics"), "all_host_metrics");
    assert_eq!(names::collection("VMSS"), "AllVmss");
}

#[test]
fn enums_lose_the_name_of_their_class_where_enough_is_left() {
    let model = model();
    let name = |wire: &str| {
        let item = model.enums.iter().find(|item| item.name == wire).unwrap();
        (
            names::home(&model, wire).unwrap().name.as_str(),
            names::enumeration(&model, item),
        )
    };
    assert_eq!(name("vm_power_state"), ("VM", "PowerState".to_owned()));
    assert_eq!(name("vm_operations"), ("VM", "VmOperation".to_owned()));
    assert_eq!(name("vbd_type"), ("VBD", "VbdType".to_owned()));
    assert_eq!(name("update_guidances"), ("host", "UpdateGuidance".to_owned()));
    assert_eq!(name("pci_dom0_access"), ("PCI", "Dom0Access".to_owned()));
}
