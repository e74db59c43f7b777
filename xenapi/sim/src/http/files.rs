//! The handlers that send what a host keeps about itself, and those that take it back.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use xenapi::wire::xml::value_text;

use super::access::{Access, Action, location};
use super::intake::Intake;
use super::message::{Reply, Request};
use super::pages;
use super::upload::Upload;
use crate::dispatch::Origin;
use crate::error::ApiError;
use crate::schema::CLASS_INFOS;
use crate::state::{Shared, State};
use crate::xva_stream::tar_of;

/// How much is sent at a time.
const PIECE: usize = 64 << 10;

/// What a handler sends.
struct File {
    action: Action,
    content_type: &'static str,
    content: fn(&State, &Origin, &Request) -> Vec<u8>,
}

const fn file(
    name: &'static str,
    content_type: &'static str,
    content: fn(&State, &Origin, &Request) -> Vec<u8>,
) -> File {
    File {
        action: Action { name, label: name },
        content_type,
        content,
    }
}

/// The file behind a path.
fn find(path: &str) -> Option<File> {
    const BYTES: &str = "application/octet-stream";
    Some(match path {
        "/host_backup" => file("get_host_backup", BYTES, backup),
        "/host_logs_download" => file("get_host_logs_download", BYTES, logs),
        "/pool/xmldbdump" => file("get_pool_xml_db_sync", "text/xml", database),
        "/system-status" => file("get_system_status", BYTES, status),
        "/audit_log" => file("get_audit_log", "text/plain", audit),
        "/host_updates" => file("get_host_updates", "application/json", |_, _, _| {
            br#"{"updates":[],"accumulative_updates":[],"livepatches":[]}"#.to_vec()
        }),
        "/updates" => file("get_updates", "application/json", updates),
        _ => return None,
    })
}

/// Whether `GET` of a path sends a file.
pub(super) fn sends(path: &str) -> bool {
    find(path).is_some()
}

/// Whether `PUT` of a path takes a file.
pub(super) fn takes(path: &str) -> bool {
    target(path).is_some()
}

/// Answers a `GET` for one of the files.
pub(super) async fn get(shared: &Arc<Shared>, origin: &Origin, request: &Request) -> Reply {
    let Some(file) = find(request.path()) else {
        return pages::not_found();
    };
    // Members do not have this one at all.
    if request.path() == "/updates" && shared.with(|state| state.coordinator != origin.host) {
        return pages::not_found();
    }
    let access = match Access::check(shared, origin, request, file.action, "").await {
        Ok(access) => access,
        Err(refusal) => return *refusal,
    };
    if let Err(error) = access.fault() {
        return access.refuse(shared, &error);
    }
    if matches!(request.query("output").as_deref(), Some("tar.bz2" | "zip")) {
        let error = ApiError::new("NOT_IMPLEMENTED", ["system-status"]);
        return access.refuse(shared, &error);
    }
    let content = shared.with(|state| (file.content)(state, origin, request));
    let pieces: Vec<_> = content
        .chunks(PIECE)
        .map(|piece| Ok(Bytes::copy_from_slice(piece)))
        .collect();
    access
        .transfer(shared, None, Box::new(pieces.into_iter()))
        .with("content-type", file.content_type)
}

/// The handler that takes files under a path.
fn target(path: &str) -> Option<&'static str> {
    match path {
        "/host_restore" => Some("put_host_restore"),
        "/pool/xmldbdump" => Some("put_pool_xml_db_sync"),
        "/messages" => Some("put_messages"),
        _ => None,
    }
}

/// Answers a `PUT` of one of the files. All that happens is that they are read.
pub(super) async fn put(shared: &Arc<Shared>, origin: &Origin, request: &Request, upload: Upload) -> Reply {
    let Some(name) = target(request.path()) else {
        return pages::forbidden();
    };
    let action = Action { name, label: name };
    let access = match Access::check(shared, origin, request, action, "").await {
        Ok(access) => access,
        Err(refusal) => return *refusal,
    };
    if let Err(error) = access.fault() {
        return access.refuse(shared, &error);
    }
    let coordinator = shared.with(|state| state.coordinator);
    if name == "put_messages"
        && coordinator != origin.host
        && let Some(location) = location(origin, coordinator)
    {
        return access.redirect(shared, &location, request);
    }
    let intake = Intake::new(shared, access, request.path(), upload);
    intake.answer(|intake| async { intake.drain().await.map(|()| String::new()) }.boxed())
}

fn host(state: &State, origin: &Origin) -> String {
    state.hosts.get(origin.host).cloned().unwrap_or_default()
}

fn date(state: &State) -> u64 {
    u64::try_from(state.clock.now().unix_seconds()).unwrap_or_default()
}

fn backup(state: &State, origin: &Origin, _: &Request) -> Vec<u8> {
    let uuid = state.uuid("host", &host(state, origin));
    let inventory = format!("PRODUCT_BRAND='XCP-ng'\nINSTALLATION_UUID='{uuid}'\n");
    tar_of("etc/xensource-inventory", inventory.as_bytes(), date(state))
}

fn logs(state: &State, origin: &Origin, _: &Request) -> Vec<u8> {
    let name = state.db.text("host", &host(state, origin), "name_label");
    let line = format!("{} {name} xapi: [ info] started\n", state.clock.now());
    tar_of("var/log/xensource.log", line.as_bytes(), date(state))
}

fn status(state: &State, origin: &Origin, request: &Request) -> Vec<u8> {
    const CAPABILITIES: &str = "<?xml version=\"1.0\" ?>\n<capabilities>\n<capability content-type=\"text/plain\" \
                                default-checked=\"yes\" key=\"xenserver-logs\" max-size=\"425721856\" max-time=\"-1\" \
                                min-size=\"0\" min-time=\"-1\" pii=\"maybe\"/>\n</capabilities>\n";
    if request.query("list").is_some() {
        CAPABILITIES.into()
    } else {
        logs(state, origin, request)
    }
}

/// One line a login; the time that a client may name is not looked at.
fn audit(state: &State, _: &Origin, _: &Request) -> Vec<u8> {
    let lines = state.db.refs("session").into_iter().map(|session| {
        let user = state.db.text("session", &session, "auth_user_name");
        let time = state.db.time("session", &session, "validation_time");
        format!("[{time}|audit|xapi] ('{session}' '{user}' 'ALLOWED' 'OK' 'API' 'session.create' ())\n")
    });
    lines.collect::<String>().into_bytes()
}

fn updates(state: &State, _: &Origin, _: &Request) -> Vec<u8> {
    let hosts = state.hosts.iter().map(|host| {
        let uuid = state.uuid("host", host);
        format!(r#"{{"uuid":"{uuid}","recommended-guidance":[],"absolute-guidance":[],"RPMS":[],"updates":[]}}"#)
    });
    let hosts: Vec<_> = hosts.collect();
    format!(r#"{{"hosts":[{}],"updates":[],"hash":""}}"#, hosts.join(",")).into_bytes()
}

/// All rows of all tables.
fn database(state: &State, _: &Origin, _: &Request) -> Vec<u8> {
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><database><manifest><pair key=\"schema_major_vsn\" value=\"5\"/>\
         <pair key=\"schema_minor_vsn\" value=\"909\"/><pair key=\"generation_count\" value=\"{}\"/></manifest>",
        state.db.generation()
    );
    for info in CLASS_INFOS.iter().filter(|info| info.has_rows()) {
        text.push_str(&format!("<table name=\"{}\">", info.name()));
        for reference in state.db.refs(info.name()) {
            text.push_str(&format!("<row ref=\"{reference}\""));
            for field in info.fields().iter().filter(|field| !field.secret) {
                let value = state
                    .db
                    .get(info.name(), &reference, field.name)
                    .cloned()
                    .unwrap_or_default();
                let shown = match value.as_str() {
                    Some(text) => text.to_owned(),
                    None => value_text(&value),
                };
                text.push_str(&format!(" {}=\"{}\"", field.name, pages::escaped(&shown)));
            }
            text.push_str("/>");
        }
        text.push_str("</table>");
    }
    text.push_str("</database>");
    text.into_bytes()
}
