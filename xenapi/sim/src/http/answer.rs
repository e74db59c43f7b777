//! Which handler a request goes to.

use std::sync::Arc;

use futures_util::StreamExt;

use super::message::{Body, Reply, Request};
use super::upload::Upload;
use super::{
    blobs, bundle, export, export_raw, files, import, import_raw, metrics, pages, rpc, services, snapshot, workload,
};
use crate::dispatch::Origin;
use crate::state::Shared;
use crate::tables::HTTP_ACTIONS;

const FRONT_PAGE: &str = "<html><head><title>XCP-ng</title></head><body><h1>XCP-ng</h1>A simulated host.</body></html>";

/// Answers a request to a host.
pub(crate) async fn answer(shared: &Arc<Shared>, origin: &Origin, request: Request, upload: Upload) -> Reply {
    let path = request.path().to_owned();
    shared.with(|state| *state.counters.requests.entry(path.clone()).or_default() += 1);
    let reply = match (request.method.as_str(), path.as_str()) {
        ("POST", "/jsonrpc") => rpc::json(shared, origin, &request).await,
        // Any other path takes XML, as the handler of "/" has the longest prefix that fits.
        ("POST", _) => rpc::xml(shared, origin, &request).await,
        ("GET", "/export") => export::export(shared, origin, &request).await,
        ("GET", "/export_metadata") => export::export_metadata(shared, origin, &request).await,
        ("GET", "/export_raw_vdi") => export_raw::export_raw_vdi(shared, origin, &request).await,
        ("PUT", "/import") => import::import(shared, origin, &request, upload).await,
        ("PUT", "/import_metadata") => import::import_metadata(shared, origin, &request, upload).await,
        ("PUT", "/import_raw_vdi") => import_raw::import_raw_vdi(shared, origin, &request, upload).await,
        ("GET", "/rrd_updates") => metrics::rrd_updates(shared, origin, &request).await,
        ("GET", "/host_rrd") => metrics::host_rrd(shared, origin, &request, "host_rrd").await,
        ("GET", "/host_rrds") => metrics::host_rrd(shared, origin, &request, "get_host_rrds").await,
        ("GET", "/vm_rrd") => metrics::vm_rrd(shared, origin, &request, "vm_rrd").await,
        ("GET", "/vm_rrds") => metrics::vm_rrd(shared, origin, &request, "get_vm_rrds").await,
        ("GET", "/sr_rrd") => metrics::sr_rrd(shared, origin, &request).await,
        ("GET", "/vncsnapshot") => snapshot::vncsnapshot(shared, origin, &request).await,
        ("GET", "/blob") => blobs::get(shared, origin, &request).await,
        ("PUT", "/blob") => blobs::put(shared, origin, &request, upload).await,
        ("PUT", "/bundle") => bundle::put(shared, origin, &request, upload).await,
        ("GET", "/wlb_report") => workload::report(shared, origin, &request).await,
        ("GET", "/wlb_diagnostics") => workload::diagnostics(shared, origin, &request).await,
        ("GET", path) if services::lists(path) => services::get(shared, origin, &request).await,
        ("GET", "/") => Reply::full(200, FRONT_PAGE)
            .with("connection", if request.keeps_alive() { "keep-alive" } else { "close" })
            .with("cache-control", "no-cache, no-store")
            .with("content-type", "text/html"),
        ("OPTIONS", "/" | "/json" | "/jsonrpc") => Reply::full(200, "")
            .with("connection", if request.keeps_alive() { "keep-alive" } else { "close" })
            .with("cache-control", "no-cache, no-store")
            .with("Access-Control-Allow-Origin", "*")
            .with("Access-Control-Allow-Headers", "X-Requested-With")
            .with("Access-Control-Allow-Methods", "POST, OPTIONS"),
        ("HEAD", _) => pages::not_implemented("HEAD"),
        ("GET", _) if files::sends(&path) => files::get(shared, origin, &request).await,
        ("PUT", _) if files::takes(&path) => files::put(shared, origin, &request, upload).await,
        (method, path)
            if HTTP_ACTIONS
                .iter()
                .any(|action| action.method == method && action.path == path) =>
        {
            pages::not_implemented(&format!("{method} {path}"))
        }
        ("GET", _) => pages::not_found(),
        _ => pages::forbidden(),
    };
    count(shared, path, reply)
}

/// Counts the bytes of the body while they are sent.
fn count(shared: &Arc<Shared>, path: String, mut reply: Reply) -> Reply {
    let shared = Arc::clone(shared);
    let add = move |count: usize| {
        shared.with(|state| *state.counters.sent.entry(path.clone()).or_default() += count as u64);
    };
    reply.body = match reply.body {
        Body::Full(bytes) => {
            add(bytes.len());
            Body::Full(bytes)
        }
        Body::Stream(stream) => Body::Stream(Box::pin(stream.inspect(move |piece| {
            if let Ok(piece) = piece {
                add(piece.len());
            }
        }))),
    };
    reply
}
