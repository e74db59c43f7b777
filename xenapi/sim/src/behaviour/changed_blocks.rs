//! Changed block tracking.

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use xenapi::{ToValue, Value};

use super::{Behaviour, vdi};
use crate::disk_image::DiskImage;
use crate::dispatch::Invocation;
use crate::error::{ApiError, Result};
use crate::generic::void;
use crate::state::State;

/// What one bit stands for, in bytes.
const BLOCK: u64 = 64 << 10;

pub(super) fn find(message: &str) -> Option<Behaviour> {
    Some(match message {
        "enable_cbt" => enable,
        "disable_cbt" => disable,
        "data_destroy" => data_destroy,
        "list_changed_blocks" => list_changed_blocks,
        _ => return None,
    })
}

fn enable(state: &mut State, call: &Invocation) -> Result<Value> {
    set_enabled(state, call, true)
}

fn disable(state: &mut State, call: &Invocation) -> Result<Value> {
    set_enabled(state, call, false)
}

fn set_enabled(state: &mut State, call: &Invocation, enabled: bool) -> Result<Value> {
    let vdi = call.text(0);
    state.require("VDI", vdi)?;
    if state.db.flag("VDI", vdi, "is_a_snapshot") {
        let text = format!("VDI is a snapshot: {}", state.uuid("VDI", vdi));
        return Err(ApiError::new("OPERATION_NOT_ALLOWED", [&text]));
    }
    state.db.set("VDI", vdi, "cbt_enabled", enabled);
    Ok(void())
}

fn assert_tracked(state: &State, vdi: &str) -> Result<()> {
    if state.db.flag("VDI", vdi, "cbt_enabled") {
        Ok(())
    } else {
        Err(ApiError::new("VDI_NO_CBT_METADATA", [vdi]))
    }
}

/// Only what changed is kept of a snapshot, not its content.
fn data_destroy(state: &mut State, call: &Invocation) -> Result<Value> {
    let vdi = call.text(0);
    state.require("VDI", vdi)?;
    if !state.db.flag("VDI", vdi, "is_a_snapshot") {
        let text = format!("VDI is not a snapshot: {vdi}");
        return Err(ApiError::new("OPERATION_NOT_ALLOWED", [&text]));
    }
    assert_tracked(state, vdi)?;
    if vdi::is_attached(state, vdi) {
        return Err(ApiError::new("VDI_IN_USE", [vdi, "data_destroy"]));
    }
    state.db.set("VDI", vdi, "type", "cbt_metadata");
    state.db.refresh("VDI", vdi, "physical_utilisation", 0_i64);
    Ok(void())
}

/// One bit for each block, the first one the highest of its byte.
fn list_changed_blocks(state: &mut State, call: &Invocation) -> Result<Value> {
    let disks = [call.text(0), call.text(1)];
    for vdi in disks {
        state.require("VDI", vdi)?;
        assert_tracked(state, vdi)?;
        if vdi::is_attached(state, vdi) {
            return Err(ApiError::new("VDI_IN_USE", [vdi, "list_changed_blocks"]));
        }
    }
    let [origin, other] = disks.map(|vdi| match state.db.text("VDI", vdi, "snapshot_of") {
        origin if state.db.exists("VDI", &origin) => origin,
        _ => vdi.to_owned(),
    });
    if origin != other {
        let text = "Source and target VDI are unrelated";
        return Err(ApiError::new("SR_BACKEND_FAILURE_460", ["", text, ""]));
    }
    let [from, to] = disks.map(|vdi| {
        state
            .images
            .get(vdi)
            .cloned()
            .unwrap_or_else(|| Arc::new(DiskImage::new(0)))
    });
    let size = disks
        .map(|vdi| vdi::size(state, vdi))
        .into_iter()
        .max()
        .unwrap_or_default();
    let mut bits = vec![0_u8; size.div_ceil(BLOCK).div_ceil(8) as usize];
    for block in 0..size.div_ceil(BLOCK) {
        let same = from.has_same(&to, block * BLOCK, BLOCK);
        if !same.map_err(|error| ApiError::internal(&error.to_string()))? {
            bits[(block / 8) as usize] |= 0x80 >> (block % 8);
        }
    }
    Ok(BASE64_STANDARD.encode(bits).to_value())
}
