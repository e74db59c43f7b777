//! The handlers that send metrics.

use std::sync::Arc;

use super::access::{Access, Action, location};
use super::message::{Reply, Request};
use super::pages;
use crate::dispatch::Origin;
use crate::rrd::{self, Dump, Function, Query, Source, Updates};
use crate::schema::NULL;
use crate::state::{Shared, State};

/// These handlers make no tasks: another daemon answers for xapi.
const fn action(name: &'static str) -> Action {
    Action { name, label: "" }
}

/// Whether a client wants JSON: it says so, or its query has a word of that name, whatever its value.
fn wants_json(request: &Request) -> bool {
    let preferred = request.header("accept").and_then(|text| text.split([',', ';']).next());
    preferred.map(str::trim) == Some("application/json") || request.query("json").is_some()
}

/// `GET /rrd_updates`: the rows since a time.
pub(super) async fn rrd_updates(shared: &Arc<Shared>, origin: &Origin, request: &Request) -> Reply {
    let access = match Access::check(shared, origin, request, action("rrd_updates"), "").await {
        Ok(access) => access,
        Err(refusal) => return *refusal,
    };
    if let Err(error) = access.fault() {
        return access.refuse(shared, &error);
    }
    let number = |name: &str| request.query(name).and_then(|text| text.parse::<f64>().ok());
    let Some(start) = number("start") else {
        return pages::bad_request();
    };
    let query = Query {
        start: start as i64,
        interval: number("interval").unwrap_or_default() as i64,
        function: request.query("cf").as_deref().and_then(Function::named),
    };
    let (updates, bare) = shared.with(|state| {
        let updates = Updates::new(query, state.clock.now().unix_seconds(), sources(state, origin, request));
        (updates, state.config.bare_metrics)
    });
    let (content_type, text) = if wants_json(request) {
        ("application/json", updates.json(bare))
    } else {
        ("text/xml", updates.xml())
    };
    access
        .document(shared, content_type, text.into_bytes())
        .with("Access-Control-Allow-Origin", "*")
        .with("Access-Control-Allow-Headers", "X-Requested-With")
        .keeping_alive(request)
}

/// The metrics that this host knows and the client asked for: the host's own on demand, those of all VMs that run here
/// or of some, those of SRs by name only.
fn sources(state: &State, origin: &Origin, request: &Request) -> Vec<Source> {
    let host = state.hosts.get(origin.host).map_or(NULL, String::as_str);
    let mut sources = Vec::new();
    if request.query("host").as_deref() == Some("true") {
        sources.extend(rrd::of_host(state, host));
    }
    let wanted = request.queries("vm_uuid");
    for vm in state.db.list("host", host, "resident_VMs") {
        if wanted.is_empty() || wanted.contains(&state.uuid("VM", &vm)) {
            sources.extend(rrd::of_vm(state, &vm));
        }
    }
    let named = request.queries("sr_uuid");
    for sr in named.iter().filter_map(|uuid| state.db.find("SR", "uuid", uuid)) {
        sources.extend(rrd::of_sr(state, &sr));
    }
    sources
}

/// `GET /host_rrd`: everything about the host that was asked.
pub(super) async fn host_rrd(shared: &Arc<Shared>, origin: &Origin, request: &Request, name: &'static str) -> Reply {
    dump(shared, origin, request, name, |state| {
        let host = state.hosts.get(origin.host);
        Found::Here(host.map_or_else(Vec::new, |host| rrd::of_host(state, host)))
    })
    .await
}

/// `GET /vm_rrd`: everything about a VM, from the host where it runs, or from the coordinator where it does not.
pub(super) async fn vm_rrd(shared: &Arc<Shared>, origin: &Origin, request: &Request, name: &'static str) -> Reply {
    dump(shared, origin, request, name, |state| {
        let Some(vm) = state.db.find("VM", "uuid", &request.query("uuid").unwrap_or_default()) else {
            return Found::Nowhere;
        };
        let resident = state.db.text("VM", &vm, "resident_on");
        let host = state.hosts.iter().position(|host| *host == resident);
        let host = host.unwrap_or(state.coordinator);
        match location(origin, host).filter(|_| host != origin.host) {
            Some(location) => Found::Elsewhere(location),
            None => Found::Here(rrd::of_vm(state, &vm)),
        }
    })
    .await
}

/// `GET /sr_rrd`: everything about an SR.
pub(super) async fn sr_rrd(shared: &Arc<Shared>, origin: &Origin, request: &Request) -> Reply {
    dump(shared, origin, request, "sr_rrd", |state| {
        let sr = state.db.find("SR", "uuid", &request.query("uuid").unwrap_or_default());
        sr.map_or(Found::Nowhere, |sr| Found::Here(rrd::of_sr(state, &sr)))
    })
    .await
}

enum Found {
    Here(Vec<Source>),
    Elsewhere(String),
    Nowhere,
}

async fn dump(
    shared: &Arc<Shared>,
    origin: &Origin,
    request: &Request,
    name: &'static str,
    find: impl FnOnce(&State) -> Found + Send,
) -> Reply {
    let object = request.query("uuid").unwrap_or_default();
    let access = match Access::check(shared, origin, request, action(name), &object).await {
        Ok(access) => access,
        Err(refusal) => return *refusal,
    };
    if let Err(error) = access.fault() {
        return access.refuse(shared, &error);
    }
    let (found, now, bare) = shared.with(|state| {
        let now = state.clock.now().unix_seconds();
        (find(state), now, state.config.bare_metrics)
    });
    let dump = match found {
        Found::Here(sources) => Dump { now, sources },
        Found::Elsewhere(location) => return access.redirect(shared, &location, request),
        Found::Nowhere => return pages::not_found(),
    };
    let (content_type, text) = if wants_json(request) {
        ("application/json", dump.json(bare))
    } else {
        ("text/xml", dump.xml())
    };
    let mut reply = access
        .transfer(shared, None, Box::new(std::iter::once(Ok(text.into()))))
        .with("content-type", content_type)
        .with("Access-Control-Allow-Origin", "*");
    reply.old = true;
    reply
}
