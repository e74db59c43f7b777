//! Changing what a VM is like.

use xenapi::Value;

use super::create::memory_overhead;
use super::lifecycle::refresh;
use crate::dispatch::Invocation;
use crate::error::{ApiError, Result};
use crate::generic::{self, void};
use crate::state::State;

/// The four bounds on a VM's memory, in bytes.
#[derive(Clone, Copy)]
struct Limits {
    static_min: i64,
    dynamic_min: i64,
    dynamic_max: i64,
    static_max: i64,
}

impl Limits {
    fn of(state: &State, vm: &str) -> Self {
        let field = |name: &str| state.db.int("VM", vm, name);
        Self {
            static_min: field("memory_static_min"),
            dynamic_min: field("memory_dynamic_min"),
            dynamic_max: field("memory_dynamic_max"),
            static_max: field("memory_static_max"),
        }
    }

    fn apply(self, state: &mut State, vm: &str) -> Result<Value> {
        let ordered = [0, self.static_min, self.dynamic_min, self.dynamic_max, self.static_max].is_sorted();
        if !ordered {
            let rule = "Memory limits must satisfy: static_min <= dynamic_min <= dynamic_max <= static_max";
            return Err(ApiError::new("MEMORY_CONSTRAINT_VIOLATION", [rule]));
        }
        for (field, bytes) in [
            ("memory_static_min", self.static_min),
            ("memory_static_max", self.static_max),
            ("memory_dynamic_min", self.dynamic_min),
            ("memory_dynamic_max", self.dynamic_max),
        ] {
            state.db.refresh("VM", vm, field, bytes);
        }
        update_overhead(state, vm);
        Ok(void())
    }
}

fn update_overhead(state: &mut State, vm: &str) {
    let overhead = memory_overhead(
        state.db.int("VM", vm, "memory_static_max"),
        state.db.int("VM", vm, "VCPUs_max"),
    );
    state.db.refresh("VM", vm, "memory_overhead", overhead);
}

pub(super) fn set_memory_limits(state: &mut State, call: &Invocation) -> Result<Value> {
    let limits = Limits {
        static_min: call.int(1),
        static_max: call.int(2),
        dynamic_min: call.int(3),
        dynamic_max: call.int(4),
    };
    limits.apply(state, call.text(0))
}

pub(super) fn set_memory_static_range(state: &mut State, call: &Invocation) -> Result<Value> {
    let limits = Limits {
        static_min: call.int(1),
        static_max: call.int(2),
        ..Limits::of(state, call.text(0))
    };
    limits.apply(state, call.text(0))
}

pub(super) fn set_memory_dynamic_range(state: &mut State, call: &Invocation) -> Result<Value> {
    let limits = Limits {
        dynamic_min: call.int(1),
        dynamic_max: call.int(2),
        ..Limits::of(state, call.text(0))
    };
    limits.apply(state, call.text(0))
}

pub(super) fn set_memory_static_min(state: &mut State, call: &Invocation) -> Result<Value> {
    Limits {
        static_min: call.int(1),
        ..Limits::of(state, call.text(0))
    }
    .apply(state, call.text(0))
}

pub(super) fn set_memory_static_max(state: &mut State, call: &Invocation) -> Result<Value> {
    Limits {
        static_max: call.int(1),
        ..Limits::of(state, call.text(0))
    }
    .apply(state, call.text(0))
}

pub(super) fn set_memory_dynamic_min(state: &mut State, call: &Invocation) -> Result<Value> {
    Limits {
        dynamic_min: call.int(1),
        ..Limits::of(state, call.text(0))
    }
    .apply(state, call.text(0))
}

pub(super) fn set_memory_dynamic_max(state: &mut State, call: &Invocation) -> Result<Value> {
    Limits {
        dynamic_max: call.int(1),
        ..Limits::of(state, call.text(0))
    }
    .apply(state, call.text(0))
}

pub(super) fn set_memory(state: &mut State, call: &Invocation) -> Result<Value> {
    let bytes = call.int(1);
    let static_min = Limits::of(state, call.text(0)).static_min.min(bytes);
    Limits {
        static_min,
        dynamic_min: bytes,
        dynamic_max: bytes,
        static_max: bytes,
    }
    .apply(state, call.text(0))
}

pub(super) fn set_memory_target_live(state: &mut State, call: &Invocation) -> Result<Value> {
    state.db.set("VM", call.text(0), "memory_target", call.int(1));
    Ok(void())
}

pub(super) fn compute_memory_overhead(state: &mut State, call: &Invocation) -> Result<Value> {
    state.require("VM", call.text(0))?;
    Ok(Value::Int(state.db.int("VM", call.text(0), "memory_overhead")))
}

pub(super) fn set_vcpus_max(state: &mut State, call: &Invocation) -> Result<Value> {
    let (vm, count) = (call.text(0), call.int(1));
    check_vcpus(count, state.db.int("VM", vm, "VCPUs_at_startup").., "VCPUs_max")?;
    state.db.set("VM", vm, "VCPUs_max", count);
    update_overhead(state, vm);
    Ok(void())
}

pub(super) fn set_vcpus_at_startup(state: &mut State, call: &Invocation) -> Result<Value> {
    let (vm, count) = (call.text(0), call.int(1));
    check_vcpus(count, 1..=state.db.int("VM", vm, "VCPUs_max"), "VCPUs_at_startup")?;
    state.db.set("VM", vm, "VCPUs_at_startup", count);
    Ok(void())
}

pub(super) fn set_vcpus_number_live(state: &mut State, call: &Invocation) -> Result<Value> {
    let (vm, count) = (call.text(0), call.int(1));
    check_vcpus(count, 1..=state.db.int("VM", vm, "VCPUs_max"), "VCPUs_number_live")?;
    let metrics = state.db.text("VM", vm, "metrics");
    state.db.set("VM", vm, "VCPUs_at_startup", count);
    state.db.set("VM_metrics", &metrics, "VCPUs_number", count);
    Ok(void())
}

fn check_vcpus(count: i64, range: impl std::ops::RangeBounds<i64>, field: &str) -> Result<()> {
    if count >= 1 && range.contains(&count) {
        Ok(())
    } else {
        Err(ApiError::new("INVALID_VALUE", [field, &count.to_string()]))
    }
}

pub(super) fn set_is_a_template(state: &mut State, call: &Invocation) -> Result<Value> {
    let vm = call.text(0);
    state.require("VM", vm)?;
    if call.flag(1) && !state.db.flag("VM", vm, "is_a_template") {
        super::assert_operation(state, vm, "make_into_template")?;
    }
    state.db.set("VM", vm, "is_a_template", call.flag(1));
    refresh(state, vm);
    Ok(void())
}

pub(super) fn set_appliance(state: &mut State, call: &Invocation) -> Result<Value> {
    state.require("VM", call.text(0))?;
    state.db.set("VM", call.text(0), "appliance", call.value(1));
    Ok(void())
}

/// Blocking an operation also takes it off the list of allowed ones.
pub(super) fn block(state: &mut State, call: &Invocation) -> Result<Value> {
    let answer = generic::execute(state, call)?;
    refresh(state, call.text(0));
    Ok(answer)
}
