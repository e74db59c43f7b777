//! `PUT /bundle`: a tar archive of updates for the pool's repository of that kind.

use std::sync::Arc;

use futures_util::FutureExt;

use super::access::{Access, Action, location};
use super::intake::Intake;
use super::message::{Reply, Request};
use super::upload::Upload;
use crate::dispatch::Origin;
use crate::error::{ApiError, Result};
use crate::state::{Shared, State};

/// The length of a tar archive's blocks, and where a header says what it is.
const BLOCK: usize = 512;
const MAGIC: std::ops::Range<usize> = 257..262;

/// Takes the archive at the coordinator; members send the client there. Nothing is unpacked.
pub(super) async fn put(shared: &Arc<Shared>, origin: &Origin, request: &Request, upload: Upload) -> Reply {
    let action = Action {
        name: "put_bundle",
        label: "Sync bundle",
    };
    let access = match Access::check(shared, origin, request, action, "").await {
        Ok(access) => access,
        Err(refusal) => return *refusal,
    };
    if let Err(error) = access.fault() {
        return access.refuse(shared, &error);
    }
    let coordinator = shared.with(|state| state.coordinator);
    if coordinator != origin.host
        && let Some(location) = location(origin, coordinator)
    {
        return access.redirect(shared, &location, request);
    }
    let intake = Intake::new(shared, access, request.path(), upload);
    intake.answer(|intake| take(intake).boxed())
}

async fn take(intake: &mut Intake) -> Result<String> {
    intake.shared().with(|state| check_repository(state))?;
    let length = intake.length().unwrap_or(u64::MAX);
    let mut head = Vec::new();
    while head.len() < BLOCK
        && intake.taken() < length
        && let Some(piece) = intake.next((BLOCK - head.len()) as u64).await?
    {
        head.extend_from_slice(&piece);
    }
    if head.get(MAGIC) != Some(b"ustar") {
        return Err(ApiError::new(
            "BUNDLE_UNPACK_FAILED",
            ["This does not look like a tar archive"],
        ));
    }
    intake.drain().await.map(|()| String::new())
}

/// Complains unless the only repository in use is one that bundles fill.
fn check_repository(state: &State) -> Result<()> {
    let repositories = state.db.list("pool", &state.pool(), "repositories");
    match repositories.as_slice() {
        [only] if state.db.is("Repository", only, "origin", "bundle") => Ok(()),
        _ => Err(ApiError::new("BUNDLE_REPO_NOT_ENABLED", [])),
    }
}
