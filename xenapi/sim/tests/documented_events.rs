//! The events that the documentation of a message names are those that the pool then tells of.

mod common;

use std::collections::BTreeMap;
use std::time::Duration;

use common::{Caller, args, pool, text};
use xenapi::Value;
use xenapi_sim::Simulator;

const NULL: &str = "OpaqueRef:NULL";

/// What the documentation of a message says it causes: `CLASS` or `CLASS.field`.
fn documented(message: &str) -> Vec<String> {
    let (class, name) = message.split_once('.').unwrap();
    let path = format!("{}/../datamodel/docs/classes/{class}.md", env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(path).unwrap();
    let section = page
        .split("\n## ")
        .find(|section| section.starts_with(&format!("{name}()\n")));
    let events = section
        .and_then(|section| section.rsplit_once("\nEvents: "))
        .map(|(_, events)| events);
    let events = events.unwrap_or_else(|| panic!("{message} names no events"));
    events
        .trim()
        .trim_end_matches('.')
        .split(',')
        .map(|name| name.trim().to_owned())
        .collect()
}

/// The last snapshot of every object, by class and reference.
type Seen = BTreeMap<(String, String), Value>;

struct Watcher {
    seen: Seen,
    token: String,
}

impl Watcher {
    async fn new(caller: &Caller) -> Self {
        let mut watcher = Self {
            seen: Seen::new(),
            token: String::new(),
        };
        watcher.news(caller).await;
        watcher
    }

    /// What changed since the last time: `CLASS` for objects that came or went, and `CLASS.field`.
    async fn news(&mut self, caller: &Caller) -> Vec<String> {
        let (events, token) = caller.events(&["*"], &self.token, 0.1).await;
        self.token = token;
        let mut news = Vec::new();
        for event in &events {
            let class = text(event, "class").to_owned();
            let class = schema_name(&class);
            let key = (class.clone(), text(event, "ref").to_owned());
            let Some(snapshot) = event.get("snapshot").filter(|_| text(event, "operation") != "del") else {
                self.seen.remove(&key);
                news.push(class);
                continue;
            };
            let Some(before) = self.seen.insert(key, snapshot.clone()) else {
                news.push(class);
                continue;
            };
            let Value::Struct(fields) = snapshot else { continue };
            let changed = fields.iter().filter(|(name, value)| before.get(name) != Some(value));
            news.extend(changed.map(|(name, _)| format!("{class}.{name}")));
        }
        news
    }
}

/// Events spell classes in small letters.
fn schema_name(class: &str) -> String {
    let upper = ["vm", "vbd", "vif", "vdi", "sr", "pbd", "pif", "vlan"];
    match class {
        "vm_metrics" | "vm_guest_metrics" => class.replacen("vm", "VM", 1),
        "pif_metrics" => "PIF_metrics".to_owned(),
        class if upper.contains(&class) => class.to_uppercase(),
        class => class.to_owned(),
    }
}

async fn device(caller: &Caller, vm: &str, kind: &str) -> String {
    for vbd in caller.ok("VM.get_VBDs", args![vm]).await.as_array().unwrap() {
        if caller.text("VBD.get_type", args![vbd]).await == kind {
            return vbd.as_str().unwrap().to_owned();
        }
    }
    panic!("no {kind}")
}

/// Calls a message and holds what happened against its documentation.
async fn check(caller: &Caller, watcher: &mut Watcher, message: &str, args: Vec<Value>) -> Value {
    watcher.news(caller).await;
    let answer = caller.ok(message, args).await;
    let news = watcher.news(caller).await;
    for wanted in documented(message) {
        let class = wanted.split('.').next().unwrap_or_default();
        assert!(
            news.iter().any(|item| *item == wanted || item == class),
            "{message}: {wanted} is not in {news:?}"
        );
    }
    answer
}

#[tokio::test]
async fn what_a_message_is_said_to_cause_is_heard_of() {
    let (pool, caller) = pool(|builder| builder.hosts(2).vms(4)).await;
    let watcher = &mut Watcher::new(&caller).await;
    let vm = pool.find("VM", "db-01").unwrap();
    for (message, more) in [
        ("VM.start", args![false, false]),
        ("VM.pause", args![]),
        ("VM.unpause", args![]),
        ("VM.suspend", args![]),
        ("VM.resume", args![false, false]),
        ("VM.clean_reboot", args![]),
        ("VM.clean_shutdown", args![]),
        ("VM.clone", args!["copy"]),
        ("VM.snapshot", args!["before"]),
    ] {
        // Times have whole seconds.
        pool.advance(Duration::from_secs(1));
        let args = args![vm].into_iter().chain(more).collect();
        check(&caller, watcher, message, args).await;
    }
    disks(&pool, &caller, watcher, &vm).await;
    hosts(&pool, &caller, watcher).await;
    check(&caller, watcher, "VM.destroy", args![vm]).await;
}

async fn disks(pool: &Simulator, caller: &Caller, watcher: &mut Watcher, vm: &str) {
    let disk = caller
        .text("VBD.get_VDI", args![device(caller, vm, "Disk").await])
        .await;
    check(caller, watcher, "VDI.snapshot", args![disk]).await;
    check(caller, watcher, "VDI.clone", args![disk]).await;
    check(caller, watcher, "VDI.resize", args![disk, 90_i64 << 30]).await;
    check(caller, watcher, "VDI.enable_cbt", args![disk]).await;
    check(caller, watcher, "VDI.disable_cbt", args![disk]).await;
    let copy = check(caller, watcher, "VDI.copy", args![disk, NULL, NULL, NULL]).await;
    caller.ok("VDI.destroy", args![copy]).await;
    let drive = device(caller, vm, "CD").await;
    let library = pool.find("SR", "ISO library").unwrap();
    let iso = caller.ok("SR.get_VDIs", args![library]).await.as_array().unwrap()[0].clone();
    if caller.text("VBD.get_VDI", args![drive]).await != NULL {
        caller.ok("VBD.eject", args![drive]).await;
    }
    check(caller, watcher, "VBD.insert", args![drive, iso]).await;
    check(caller, watcher, "VBD.eject", args![drive]).await;
}

async fn hosts(pool: &Simulator, caller: &Caller, watcher: &mut Watcher) {
    let host = pool.refs("host").remove(1);
    check(caller, watcher, "host.disable", args![host]).await;
    check(caller, watcher, "host.enable", args![host]).await;
    check(caller, watcher, "host.set_hostname_live", args![host, "moved"]).await;
    let network = common::record(&[
        ("name_label", Value::String("vlan".to_owned())),
        ("other_config", common::empty()),
    ]);
    let network = caller.text("network.create", vec![network]).await;
    let tagged = pool.refs("PIF").remove(0);
    check(
        caller,
        watcher,
        "pool.create_VLAN_from_PIF",
        args![tagged, network, 9_i64],
    )
    .await;
    let vlan = pool.refs("VLAN").remove(0);
    check(caller, watcher, "VLAN.destroy", args![vlan]).await;
    let uuid = caller.text("host.get_uuid", args![host]).await;
    let message = check(
        caller,
        watcher,
        "message.create",
        args!["ALARM", 3_i64, "Host", uuid, "hot"],
    )
    .await;
    check(caller, watcher, "message.destroy", args![message]).await;
}
