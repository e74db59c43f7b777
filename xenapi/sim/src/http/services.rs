//! `GET /services`: what answers behind xapi, for storage above all.

use std::sync::Arc;

use xenapi::{ToValue, Value};

use super::access::{Access, Action};
use super::message::{Reply, Request};
use super::pages;
use crate::dispatch::Origin;
use crate::state::{Shared, State};

/// Whether a path is one of the list's.
pub(super) fn lists(path: &str) -> bool {
    path == "/services" || path.starts_with("/services/")
}

pub(super) async fn get(shared: &Arc<Shared>, origin: &Origin, request: &Request) -> Reply {
    let action = Action {
        name: "get_services",
        label: "",
    };
    let access = match Access::check(shared, origin, request, action, "").await {
        Ok(access) => access,
        Err(refusal) => return *refusal,
    };
    if let Err(error) = access.fault() {
        return access.refuse(shared, &error);
    }
    let found = shared.with(|state| find(state, request.path()));
    let text = found.and_then(|found| serde_json::to_vec(&found).ok());
    let Some(text) = text else {
        return Reply {
            old: true,
            ..pages::not_found()
        };
    };
    let reply = access.transfer(shared, None, Box::new(std::iter::once(Ok(text.into()))));
    Reply { old: true, ..reply }
}

/// What is behind a path: all services, all drivers of storage, or one of them.
fn find(state: &State, path: &str) -> Option<Value> {
    let drivers = state.db.refs("SM");
    match path.strip_prefix("/services")?.trim_start_matches('/') {
        "" => {
            let description = "forwards calls to other plugins";
            let features = vec!["/services/SM"];
            Some(service(
                ["mux", "storage multiplexor", description, "XCP", "2.0"],
                &features,
            ))
        }
        "SM" => Some(Value::Array(drivers.iter().map(|driver| of(state, driver)).collect())),
        rest => {
            let name = rest.strip_prefix("SM/")?;
            let driver = drivers.iter().find(|driver| state.db.is("SM", driver, "type", name))?;
            Some(of(state, driver))
        }
    }
}

/// A driver of storage.
fn of(state: &State, driver: &str) -> Value {
    let text = |field: &str| state.db.text("SM", driver, field);
    let [kind, name, description, vendor, version] =
        ["type", "name_label", "name_description", "vendor", "version"].map(text);
    let features = state.db.list("SM", driver, "capabilities");
    let features: Vec<_> = features.iter().map(String::as_str).collect();
    service([&kind, &name, &description, &vendor, &version], &features)
}

fn service([driver, name, description, vendor, version]: [&str; 5], features: &[&str]) -> Value {
    let members = [
        ("driver", driver.to_value()),
        ("name", name.to_value()),
        ("description", description.to_value()),
        ("vendor", vendor.to_value()),
        ("copyright", "".to_value()),
        ("version", version.to_value()),
        ("required_api_version", "2.0".to_value()),
        (
            "features",
            Value::Array(features.iter().map(|feature| feature.to_value()).collect()),
        ),
        ("configuration", Value::Struct(Vec::new())),
        ("required_cluster_stack", Value::Array(Vec::new())),
    ];
    Value::Struct(members.map(|(name, value)| (name.to_owned(), value)).into())
}
