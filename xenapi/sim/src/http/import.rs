//! The handlers that take VMs.

use std::sync::Arc;

use futures_util::FutureExt;

use super::access::{Access, Action};
use super::export::{find_by, host_that_sees};
use super::intake::Intake;
use super::message::{Reply, Request};
use super::pages;
use super::transfer::second_response;
use super::upload::Upload;
use crate::dispatch::Origin;
use crate::error::{ApiError, Result};
use crate::importer::{Import, Options};
use crate::state::{Shared, State};

/// `PUT /import`: a VM with its disks.
pub(super) async fn import(shared: &Arc<Shared>, origin: &Origin, request: &Request, upload: Upload) -> Reply {
    let action = Action {
        name: "put_import",
        label: "VM.import",
    };
    take(shared, origin, request, upload, action, false).await
}

/// `PUT /import_metadata`: the description alone, for disks that are there.
pub(super) async fn import_metadata(shared: &Arc<Shared>, origin: &Origin, request: &Request, upload: Upload) -> Reply {
    let action = Action {
        name: "put_import_metadata",
        label: "VM.import_metadata",
    };
    take(shared, origin, request, upload, action, true).await
}

async fn take(
    shared: &Arc<Shared>,
    origin: &Origin,
    request: &Request,
    upload: Upload,
    action: Action,
    metadata: bool,
) -> Reply {
    let access = match Access::check(shared, origin, request, action, "").await {
        Ok(access) => access,
        Err(refusal) => return *refusal,
    };
    if request.header("transfer-encoding").is_some() {
        return refuse_chunks(shared, &access);
    }
    let prepared = shared.with(|state| {
        access.fault()?;
        let options = options(state, request, metadata)?;
        let elsewhere = match metadata {
            true => None,
            false => host_that_sees(state, origin, std::slice::from_ref(&options.sr))?,
        };
        Ok((options, elsewhere))
    });
    let options = match prepared {
        Ok((_, Some(location))) => return access.redirect(shared, &location, request),
        Ok((options, None)) => options,
        Err(error) => return access.refuse(shared, &error),
    };
    Intake::new(shared, access, request.path(), upload).answer(move |intake| work(intake, options).boxed())
}

/// A refusal that is followed by another one.
fn refuse_chunks(shared: &Shared, access: &Access) -> Reply {
    let error = ApiError::new("IMPORT_ERROR_CANNOT_HANDLE_CHUNKED", []);
    shared.with(|state| access.end(state, &Err(error.clone())));
    pages::forbidden().followed_by(&second_response(&error))
}

fn options(state: &State, request: &Request, metadata: bool) -> Result<Options> {
    let flag = |name: &str| request.query(name).as_deref() == Some("true");
    let disks = request.query_keys().filter_map(|key| {
        let disk = key.strip_prefix("vdi:")?;
        Some((disk.to_owned(), request.query(&key)?))
    });
    Ok(Options {
        sr: if metadata {
            String::new()
        } else {
            storage(state, request)?
        },
        restore: flag("restore"),
        force: flag("force"),
        metadata,
        dry_run: metadata && flag("dry_run"),
        disks: disks.collect(),
    })
}

/// The SR that the query names, or else the pool's default.
fn storage(state: &State, request: &Request) -> Result<String> {
    let named = request.query("sr_id").or_else(|| request.query("sr_uuid"));
    let sr = match named {
        Some(name) => find_by(state, "SR", Some(name)).map_err(|_| ApiError::new("NO_HOSTS_AVAILABLE", []))?,
        None => {
            let pool = state.pool();
            let default = state.db.text("pool", &pool, "default_SR");
            let known = state.require("SR", &default);
            known.map_err(|_| ApiError::new("DEFAULT_SR_NOT_FOUND", [&default]))?;
            default
        }
    };
    if state.db.is("SR", &sr, "content_type", "iso") {
        return Err(ApiError::new("SR_OPERATION_NOT_SUPPORTED", [&sr]));
    }
    Ok(sr)
}

/// Reads the archive up to its last disk. What follows is left, except inside of a compression, which has to be read
/// to its end.
async fn work(intake: &mut Intake, options: Options) -> Result<String> {
    let mut import = Import::new(intake.shared(), intake.task(), options);
    loop {
        let most = match intake.length() {
            Some(length) if import.is_compressed() => length.saturating_sub(intake.taken()),
            _ => u64::MAX,
        };
        if most == 0 || import.is_complete() && !import.is_compressed() {
            break;
        }
        match intake.next(most).await? {
            Some(piece) => import.push(&piece)?,
            None => break,
        }
    }
    if import.has_rest() && !import.is_compressed() {
        intake.leave_rest();
    }
    import.finish()
}
