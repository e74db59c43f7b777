//! The scenario that was recorded on a real xapi, against the simulator.

mod common;

use std::collections::BTreeSet;
use std::time::Duration;

use common::{Caller, Failure, PASSWORD, args, empty, record, text};
use xenapi::wire::Encoding;
use xenapi::{ToValue, Value};
use xenapi_sim::Simulator;

const NULL: &str = "OpaqueRef:NULL";
const RECORDING: &[u8] = include_bytes!("fixtures/transcript.json");

/// How much of an answer is compared.
#[derive(Clone, Copy)]
enum How {
    Value,
    Shape,
    Fields,
    Nothing,
}

struct Scenario {
    caller: Caller,
    steps: Vec<Value>,
}

impl Scenario {
    fn note(&mut self, name: &str, outcome: &str, value: Value) {
        self.steps
            .push(Value::Array(vec![name.to_value(), outcome.to_value(), value]));
    }

    fn take(&mut self, name: &str, answer: Result<Value, Failure>, how: How) -> Value {
        match answer {
            Ok(value) => {
                let shown = match how {
                    How::Value => normalise(&value),
                    How::Shape => shape(&value),
                    How::Fields => fields(&value),
                    How::Nothing => Value::Null,
                };
                self.note(name, "ok", shown);
                value
            }
            Err(error) => {
                self.note(name, "err", normalise(&error.to_value()));
                Value::Null
            }
        }
    }

    async fn step(&mut self, name: &str, method: &str, params: Vec<Value>) -> Value {
        self.step_as(name, How::Value, method, params).await
    }

    async fn step_as(&mut self, name: &str, how: How, method: &str, params: Vec<Value>) -> Value {
        let answer = self.caller.call(method, params).await;
        self.take(name, answer, how)
    }

    /// An integer as this encoding's clients send it.
    fn int(&self, number: i64) -> Value {
        match self.caller.encoding {
            Encoding::Json => Value::Int(number),
            _ => number.to_string().to_value(),
        }
    }

    async fn wait(&self, task: &Value) {
        for _ in 0..200 {
            if self.caller.ok("task.get_status", args![task]).await.as_str() != Some("pending") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// The value with references, UUIDs and times taken out.
fn normalise(value: &Value) -> Value {
    match value {
        Value::String(text) => normalise_text(text).to_value(),
        Value::DateTime(_) => "<date>".to_value(),
        Value::Array(items) => Value::Array(items.iter().map(normalise).collect()),
        Value::Struct(members) => {
            let mut members: Vec<_> = members
                .iter()
                .map(|(name, value)| (normalise_text(name), normalise(value)))
                .collect();
            members.sort_by(|a, b| a.0.cmp(&b.0));
            Value::Struct(members)
        }
        other => other.clone(),
    }
}

fn normalise_text(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while !rest.is_empty() {
        if let Some(tail) = rest.strip_prefix("OpaqueRef:").filter(|tail| !tail.starts_with("NULL")) {
            out.push_str("<ref>");
            rest = tail.trim_start_matches(|letter: char| letter.is_ascii_alphanumeric() || letter == '-');
        } else if rest.get(..36).is_some_and(is_uuid) {
            out.push_str("<uuid>");
            rest = &rest[36..];
        } else {
            let mut letters = rest.chars();
            out.extend(letters.next());
            rest = letters.as_str();
        }
    }
    if out.len() == 18 && out.ends_with('Z') && out.as_bytes()[8] == b'T' {
        "<date>".to_owned()
    } else {
        out
    }
}

fn is_uuid(text: &str) -> bool {
    text.bytes().enumerate().all(|(at, byte)| match at {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte),
    })
}

fn shape(value: &Value) -> Value {
    match value {
        Value::Bool(_) => "bool".to_value(),
        Value::Int(_) => "int".to_value(),
        Value::Float(_) => "float".to_value(),
        Value::DateTime(_) => "date".to_value(),
        Value::String(_) => "string".to_value(),
        Value::Array(items) => Value::Array(items.first().map(shape).into_iter().collect()),
        Value::Struct(members) => {
            let mut members: Vec<_> = members
                .iter()
                .map(|(name, value)| (name.clone(), shape(value)))
                .collect();
            members.sort_by(|a, b| a.0.cmp(&b.0));
            Value::Struct(members)
        }
        _ => "null".to_value(),
    }
}

fn fields(value: &Value) -> Value {
    let names: BTreeSet<_> = value
        .as_struct()
        .unwrap_or_default()
        .iter()
        .map(|(name, _)| name.clone())
        .collect();
    names.into_iter().collect::<Vec<_>>().to_value()
}

fn vm_record(s: &Scenario) -> Value {
    let memory = s.int(256 << 20);
    let texts = [
        "name_description",
        "PV_bootloader",
        "PV_kernel",
        "PV_ramdisk",
        "PV_args",
        "PV_bootloader_args",
        "PV_legacy_args",
        "PCI_bus",
        "recommendations",
        "ha_restart_priority",
        "generation_id",
    ];
    let maps = [
        "VCPUs_params",
        "platform",
        "other_config",
        "xenstore_data",
        "blocked_operations",
    ];
    let refs = [
        "affinity",
        "protection_policy",
        "snapshot_schedule",
        "appliance",
        "suspend_SR",
    ];
    let flags = [
        "is_a_template",
        "ha_always_run",
        "is_snapshot_from_vmpp",
        "is_vmss_snapshot",
        "has_vendor_device",
    ];
    let zeros = [
        "start_delay",
        "shutdown_delay",
        "order",
        "version",
        "hardware_platform_version",
    ];
    let mut members = vec![
        ("name_label", "t-vm".to_value()),
        ("user_version", s.int(1)),
        ("memory_static_max", memory.clone()),
        ("memory_dynamic_max", memory.clone()),
        ("memory_dynamic_min", memory),
        ("memory_static_min", s.int(128 << 20)),
        ("VCPUs_max", s.int(2)),
        ("VCPUs_at_startup", s.int(1)),
        ("actions_after_shutdown", "destroy".to_value()),
        ("actions_after_reboot", "restart".to_value()),
        ("actions_after_crash", "restart".to_value()),
        ("HVM_boot_policy", "BIOS order".to_value()),
        ("HVM_boot_params", record(&[("order", "cd".to_value())])),
        ("HVM_shadow_multiplier", Value::Float(1.0)),
        ("tags", Value::Array(Vec::new())),
    ];
    members.extend(texts.map(|name| (name, "".to_value())));
    members.extend(maps.map(|name| (name, empty())));
    members.extend(refs.map(|name| (name, NULL.to_value())));
    members.extend(flags.map(|name| (name, Value::Bool(false))));
    members.extend(zeros.map(|name| (name, s.int(0))));
    record(&members)
}

fn vdi_record(s: &Scenario, sr: &Value) -> Value {
    record(&[
        ("name_label", "t-d".to_value()),
        ("name_description", "".to_value()),
        ("SR", sr.clone()),
        ("virtual_size", s.int(8 << 20)),
        ("type", "user".to_value()),
        ("sharable", Value::Bool(false)),
        ("read_only", Value::Bool(false)),
        ("other_config", empty()),
        ("xenstore_data", empty()),
        ("sm_config", empty()),
        ("tags", Value::Array(Vec::new())),
    ])
}

fn vbd_record(vm: &Value, vdi: &Value, device: &str, kind: &str, mode: &str, is_empty: bool) -> Value {
    record(&[
        ("VM", vm.clone()),
        ("VDI", vdi.clone()),
        ("userdevice", device.to_value()),
        ("bootable", Value::Bool(!is_empty)),
        ("mode", mode.to_value()),
        ("type", kind.to_value()),
        ("unpluggable", Value::Bool(true)),
        ("empty", Value::Bool(is_empty)),
        ("other_config", empty()),
        ("qos_algorithm_type", "".to_value()),
        ("qos_algorithm_params", empty()),
    ])
}

async fn errors_by_name(s: &mut Scenario) {
    let wrong = s
        .caller
        .raw("session.login_with_password", args!["root", "wrong", "1.0", "t"])
        .await;
    s.take("login-bad", wrong, How::Nothing);
    s.caller.login().await;
    s.step("no-such-method", "VM.fly", args![]).await;
    let bad = s.caller.raw("VM.get_all", args!["OpaqueRef:nope"]).await;
    s.take("bad-session", bad, How::Value);
    s.step("too-few", "VM.start", args![]).await;
    s.step("too-many", "VM.get_uuid", args!["a", "b"]).await;
    s.step("null-ref", "VM.get_record", args![NULL]).await;
    s.step("bad-ref", "VM.get_name_label", args!["OpaqueRef:nope"]).await;
    s.step("bad-uuid", "VM.get_by_uuid", args!["nope"]).await;
}

async fn fields_of_a_vm(s: &mut Scenario) -> Value {
    s.step_as(
        "create-missing",
        How::Nothing,
        "VM.create",
        args![record(&[("name_label", "x".to_value())])],
    )
    .await;
    let vm = s.step("create", "VM.create", args![vm_record(s)]).await;
    s.step_as("record", How::Shape, "VM.get_record", args![vm]).await;
    s.step("power", "VM.get_power_state", args![vm]).await;
    s.step("domid", "VM.get_domid", args![vm]).await;
    s.step("mem", "VM.get_memory_static_max", args![vm]).await;
    let odd = "t-vm2 <&> é😀";
    s.step("set-name", "VM.set_name_label", args![vm, odd]).await;
    s.step("get-name", "VM.get_name_label", args![vm]).await;
    s.step("by-name", "VM.get_by_name_label", args![odd]).await;
    s.step("add-other", "VM.add_to_other_config", args![vm, "k", "v"]).await;
    s.step("add-dup", "VM.add_to_other_config", args![vm, "k", "v2"]).await;
    s.step("rm-absent", "VM.remove_from_other_config", args![vm, "zz"])
        .await;
    s.step("get-other", "VM.get_other_config", args![vm]).await;
    s.step("add-tag", "VM.add_tags", args![vm, "a"]).await;
    s.step("add-tag2", "VM.add_tags", args![vm, "a"]).await;
    s.step("tags", "VM.get_tags", args![vm]).await;
    s.step_as(
        "set-bool-wrong",
        How::Nothing,
        "VM.set_is_a_template",
        args![vm, "true"],
    )
    .await;
    s.step_as(
        "set-enum-wrong",
        How::Nothing,
        "VM.set_actions_after_crash",
        args![vm, "dance"],
    )
    .await;
    vm
}

async fn lifecycle(s: &mut Scenario, vm: &Value) {
    s.step("pause-halted", "VM.pause", args![vm]).await;
    s.step("start-snapshotless", "VM.resume", args![vm, false, false]).await;
    s.step("start", "VM.start", args![vm, false, false]).await;
    s.step("power-running", "VM.get_power_state", args![vm]).await;
    s.step("start-again", "VM.start", args![vm, false, false]).await;
    s.step("destroy-running", "VM.destroy", args![vm]).await;
    s.step("pause", "VM.pause", args![vm]).await;
    s.step("power-paused", "VM.get_power_state", args![vm]).await;
    s.step("unpause", "VM.unpause", args![vm]).await;
    s.step("hard-reboot", "VM.hard_reboot", args![vm]).await;
    s.step("hard-shutdown", "VM.hard_shutdown", args![vm]).await;
    s.step("power-halted", "VM.get_power_state", args![vm]).await;
    s.step("power-reset-halted", "VM.power_state_reset", args![vm]).await;
}

async fn tasks(s: &mut Scenario, clone: &Value) {
    let task = s.step("async", "Async.VM.start", args![clone, false, false]).await;
    s.wait(&task).await;
    s.step("task-status", "task.get_status", args![task]).await;
    s.step("task-result", "task.get_result", args![task]).await;
    s.step_as("task-shape", How::Shape, "task.get_record", args![task])
        .await;
    s.step("task-progress", "task.get_progress", args![task]).await;
    s.step("task-destroy", "task.destroy", args![task]).await;
    s.step("task-gone", "task.get_status", args![task]).await;
    let task = s.step("async-fail", "Async.VM.start", args![clone, false, false]).await;
    s.wait(&task).await;
    s.step("task-fail-status", "task.get_status", args![task]).await;
    s.step("task-error", "task.get_error_info", args![task]).await;
    s.caller.ok("task.destroy", args![task]).await;
    s.step_as("async-getter", How::Nothing, "Async.VM.get_uuid", args![clone])
        .await;
}

async fn events(s: &mut Scenario, token: &str, mine: &[&Value]) {
    let classes = ["vm", "vdi", "vbd"].map(str::to_owned).to_vec();
    let batch = s.caller.ok("event.from", args![classes, token, 0.0]).await;
    let events = batch.get("events").and_then(Value::as_array).unwrap_or_default();
    let seen: BTreeSet<_> = events
        .iter()
        .filter(|event| mine.iter().any(|object| event.get("ref") == Some(object)))
        .map(|event| [text(event, "class").to_owned(), text(event, "operation").to_owned()])
        .collect();
    let seen = Value::Array(seen.iter().map(|pair| pair.to_value()).collect());
    s.note("events", "ok", seen);
    s.note("event-fields", "ok", fields(&events[0]));
    s.note("batch-fields", "ok", fields(&batch));
    let class = |name: &str| vec![name.to_owned()];
    s.step("event-bad-token", "event.from", args![class("vm"), "zz", 0.0])
        .await;
    s.step_as(
        "event-bad-class",
        How::Nothing,
        "event.from",
        args![class("vm/x/y"), "", 0.0],
    )
    .await;
}

async fn clean_up(s: &mut Scenario, vm: &Value, others: [&Value; 2]) {
    for object in others.into_iter().chain([vm]) {
        for vbd in s
            .caller
            .ok("VM.get_VBDs", args![object])
            .await
            .as_array()
            .unwrap_or_default()
        {
            let disk = s.caller.ok("VBD.get_VDI", args![vbd]).await;
            if object == vm {
                s.step("vbd-destroy", "VBD.destroy", args![vbd]).await;
            }
            if disk.as_str() != Some(NULL) {
                // One of them was destroyed before, through another device.
                let _ = s.caller.call("VDI.destroy", args![disk]).await;
            }
        }
        s.step("vm-destroy", "VM.destroy", args![object]).await;
    }
}

async fn run(encoding: Encoding) -> Vec<Value> {
    let pool = Simulator::builder().vms(2).build().unwrap();
    let mut s = Scenario {
        caller: Caller::new(&pool, encoding),
        steps: Vec::new(),
    };
    assert_eq!(PASSWORD, "xensource");
    errors_by_name(&mut s).await;
    let pool = s.caller.ok("pool.get_all", args![]).await.as_array().unwrap()[0].clone();
    let host = s.caller.ok("host.get_all", args![]).await.as_array().unwrap()[0].clone();
    s.step_as("pool-fields", How::Fields, "pool.get_record", args![pool])
        .await;
    s.step_as("host-fields", How::Fields, "host.get_record", args![host])
        .await;
    let sr = s.caller.ok("pool.get_default_SR", args![pool]).await;
    let (_, token) = s.caller.events(&["vm", "vdi", "vbd"], "", 0.0).await;
    let vm = fields_of_a_vm(&mut s).await;
    lifecycle(&mut s, &vm).await;
    let vdi = s.step("vdi-create", "VDI.create", args![vdi_record(&s, &sr)]).await;
    s.step("vdi-size", "VDI.get_virtual_size", args![vdi]).await;
    s.step_as("vdi-shape", How::Shape, "VDI.get_record", args![vdi]).await;
    let disk = vbd_record(&vm, &vdi, "0", "Disk", "RW", false);
    let vbd = s.step("vbd-create", "VBD.create", args![disk]).await;
    s.step("vbd-dup", "VBD.create", args![disk]).await;
    s.step("vm-vbds", "VM.get_VBDs", args![vm]).await;
    s.step("vdi-vbds", "VDI.get_VBDs", args![vdi]).await;
    let drive = vbd_record(&vm, &NULL.to_value(), "3", "CD", "RO", true);
    let cd = s.step("cd-create", "VBD.create", args![drive]).await;
    s.step("cd-eject-empty", "VBD.eject", args![cd]).await;
    s.step_as("cd-insert-disk", How::Nothing, "VBD.insert", args![cd, vdi])
        .await;
    let snapshot = s.step("snapshot", "VM.snapshot", args![vm, "s1"]).await;
    s.step("is-snapshot", "VM.get_is_a_snapshot", args![snapshot]).await;
    s.step("snapshots", "VM.get_snapshots", args![vm]).await;
    s.step("snap-of", "VM.get_snapshot_of", args![snapshot]).await;
    let clone = s.step("clone", "VM.clone", args![vm, "t-clone"]).await;
    s.step("clone-power", "VM.get_power_state", args![clone]).await;
    tasks(&mut s, &clone).await;
    events(&mut s, &token, &[&vm, &vdi, &vbd, &cd, &snapshot, &clone]).await;
    s.caller.ok("VM.hard_shutdown", args![clone]).await;
    clean_up(&mut s, &vm, [&snapshot, &clone]).await;
    s.step("vm-gone", "VM.get_uuid", args![vm]).await;
    s.step("vbd-gone", "VBD.get_uuid", args![vbd]).await;
    s.step("vdi-gone", "VDI.get_uuid", args![vdi]).await;
    s.step("task-create", "task.create", args!["a", "b"]).await;
    let names = s.caller.raw("system.listMethods", args![]).await.unwrap();
    let names = names.as_array().unwrap_or_default().iter().filter_map(Value::as_str);
    let classes: BTreeSet<_> = names
        .filter_map(|name| Some(name.split_once('.')?.0.to_owned()))
        .collect();
    s.note("classes", "ok", classes.into_iter().collect::<Vec<_>>().to_value());
    s.step("logout", "session.logout", args![]).await;
    s.step("after-logout", "VM.get_all", args![]).await;
    s.steps
}

/// All steps of the recording, one by one.
fn compare(encoding: &str, ours: &[Value]) {
    let recording: Value = serde_json::from_slice(RECORDING).unwrap();
    let recorded = recording.get(encoding).and_then(Value::as_array).unwrap();
    for (ours, recorded) in ours.iter().zip(recorded) {
        assert_eq!(ours, recorded, "{encoding}");
    }
    assert_eq!((ours.len(), recorded.len()), (83, 83));
}

#[tokio::test]
async fn json_answers_as_recorded() {
    compare("json", &run(Encoding::Json).await);
}

#[tokio::test]
async fn xml_answers_as_recorded() {
    compare("xml", &run(Encoding::Xml).await);
}

#[tokio::test]
async fn as_many_methods_are_listed_as_xapi_has() {
    let pool = Simulator::builder().vms(0).build().unwrap();
    let names = Caller::new(&pool, Encoding::Json)
        .raw("system.listMethods", args![])
        .await
        .unwrap();
    assert_eq!(names.as_array().map(<[Value]>::len), Some(2258));
}
