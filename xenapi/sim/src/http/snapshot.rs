//! `GET /vncsnapshot`: a picture of a VM's screen.

use std::sync::Arc;

use super::access::{Access, Action};
use super::export::find;
use super::message::{Reply, Request};
use crate::dispatch::Origin;
use crate::error::{ApiError, Result};
use crate::state::{Shared, State};

pub(super) async fn vncsnapshot(shared: &Arc<Shared>, origin: &Origin, request: &Request) -> Reply {
    let object = request
        .query("uuid")
        .or_else(|| request.query("ref"))
        .unwrap_or_default();
    let action = Action {
        name: "get_vncsnapshot",
        label: "VM.vncsnapshot",
    };
    let access = match Access::check(shared, origin, request, action, &object).await {
        Ok(access) => access,
        Err(refusal) => return *refusal,
    };
    let found = shared.with(|state| access.fault().and_then(|()| check(state, origin, request)));
    match found {
        Ok(()) => access.document(shared, "image/jpeg", grey_screen()),
        Err(error) => access.refuse(shared, &error),
    }
}

/// Complains unless the VM runs on this host.
fn check(state: &State, origin: &Origin, request: &Request) -> Result<()> {
    let vm = find(state, request, "VM")?;
    let power_state = state.db.text("VM", &vm, "power_state");
    if power_state != "Running" {
        let power_state = power_state.to_lowercase();
        return Err(ApiError::new("VM_BAD_POWER_STATE", [&vm, "running", &power_state]));
    }
    let resident = state.db.text("VM", &vm, "resident_on");
    if state.hosts.get(origin.host) != Some(&resident) {
        return Err(ApiError::internal("Failure(\"VM is not resident on this host\")"));
    }
    Ok(())
}

const WIDTH: u16 = 640;
const HEIGHT: u16 = 480;

/// A picture in which every block of 8 by 8 pixels says that it is like the one before: two bits, both zero.
fn grey_screen() -> Vec<u8> {
    let mut picture = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00".to_vec();
    picture.extend(b"\xff\xdb\x00\x43\x00");
    picture.extend([1; 64]);
    picture.extend(b"\xff\xc0\x00\x0b\x08");
    picture.extend(HEIGHT.to_be_bytes());
    picture.extend(WIDTH.to_be_bytes());
    picture.extend(b"\x01\x01\x11\x00");
    for table in [0x00, 0x10] {
        picture.extend(b"\xff\xc4\x00\x14");
        picture.extend([table, 1]);
        picture.extend([0; 16]);
    }
    picture.extend(b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00");
    let blocks = usize::from(WIDTH / 8) * usize::from(HEIGHT / 8);
    picture.resize(picture.len() + blocks / 4, 0);
    picture.extend(b"\xff\xd9");
    picture
}
