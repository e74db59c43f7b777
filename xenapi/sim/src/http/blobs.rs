//! `/blob`: bytes that clients keep with the pool.

use std::sync::Arc;

use futures_util::FutureExt;
use xenapi::Value;

use super::access::{Access, Action};
use super::export::find;
use super::intake::Intake;
use super::message::{Reply, Request};
use super::upload::Upload;
use crate::dispatch::Origin;
use crate::error::{ApiError, Result};
use crate::state::Shared;

/// The most that one blob holds, in bytes.
const LIMIT: u64 = 64 << 20;

/// `GET /blob`: its bytes. Public ones need no login.
pub(super) async fn get(shared: &Arc<Shared>, origin: &Origin, request: &Request) -> Reply {
    let action = Action {
        name: "get_blob",
        label: "blob.get",
    };
    let found = shared.with(|state| {
        let blob = find(state, request, "blob")?;
        let content = state.blobs.get(&blob).cloned().unwrap_or_default();
        Ok((state.db.flag("blob", &blob, "public"), content))
    });
    if let Ok((true, content)) = found {
        return Reply::full(200, content).with("content-type", "application/octet-stream");
    }
    let access = match Access::check(shared, origin, request, action, "").await {
        Ok(access) => access,
        Err(refusal) => return *refusal,
    };
    match access.fault().and(found) {
        Ok((_, content)) => access.document(shared, "application/octet-stream", content.to_vec()),
        Err(error) => access.refuse(shared, &error),
    }
}

/// `PUT /blob`: new bytes for it.
pub(super) async fn put(shared: &Arc<Shared>, origin: &Origin, request: &Request, upload: Upload) -> Reply {
    let action = Action {
        name: "put_blob",
        label: "blob.put",
    };
    let access = match Access::check(shared, origin, request, action, "").await {
        Ok(access) => access,
        Err(refusal) => return *refusal,
    };
    let found = shared.with(|state| access.fault().and_then(|()| find(state, request, "blob")));
    match found {
        Ok(blob) => {
            Intake::new(shared, access, request.path(), upload).answer(move |intake| store(intake, blob).boxed())
        }
        Err(error) => access.refuse(shared, &error),
    }
}

async fn store(intake: &mut Intake, blob: String) -> Result<String> {
    let content = intake.all(LIMIT).await?;
    intake.shared().with(|state| {
        if !state.db.exists("blob", &blob) {
            return Err(ApiError::handle_invalid("blob", &blob));
        }
        let size = i64::try_from(content.len()).unwrap_or(i64::MAX);
        let now = Value::DateTime(state.clock.now());
        state.db.set("blob", &blob, "size", size);
        state.db.set("blob", &blob, "last_updated", now);
        state.blobs.insert(blob, content.into());
        Ok(String::new())
    })
}
