//! `GET /wlb_report` and `GET /wlb_diagnostics`: no simulated pool has a server for workload balancing.

use std::sync::Arc;

use super::access::{Access, Action};
use super::message::{Reply, Request};
use crate::dispatch::Origin;
use crate::error::ApiError;
use crate::state::Shared;

pub(super) async fn report(shared: &Arc<Shared>, origin: &Origin, request: &Request) -> Reply {
    let action = Action {
        name: "get_wlb_report",
        label: "WLB ExecuteReport request",
    };
    let error = match request.query("report") {
        Some(_) => ApiError::new("WLB_NOT_INITIALIZED", []),
        None => ApiError::internal("Failure(\"Bad request\")"),
    };
    refuse(shared, origin, request, action, error).await
}

pub(super) async fn diagnostics(shared: &Arc<Shared>, origin: &Origin, request: &Request) -> Reply {
    let action = Action {
        name: "get_wlb_diagnostics",
        label: "WLB GetDiagnostics request",
    };
    let error = ApiError::new("WLB_NOT_INITIALIZED", []);
    refuse(shared, origin, request, action, error).await
}

async fn refuse(shared: &Arc<Shared>, origin: &Origin, request: &Request, action: Action, error: ApiError) -> Reply {
    match Access::check(shared, origin, request, action, "").await {
        Ok(access) => {
            let error = access.fault().err().unwrap_or(error);
            access.refuse(shared, &error)
        }
        Err(refusal) => *refusal,
    }
}
