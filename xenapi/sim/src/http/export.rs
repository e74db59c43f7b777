//! The handlers that send VMs.

use std::io::{self, Write as _};
use std::sync::Arc;

use bytes::Bytes;

use super::access::{Access, Action, location};
use super::message::{Reply, Request};
use super::transfer::Pieces;
use crate::behaviour::{sr, vm};
use crate::dispatch::Origin;
use crate::error::{ApiError, Result};
use crate::ova::Ova;
use crate::state::{Shared, State};
use crate::xva_stream::{Archive, Disk};

/// `GET /export`: a VM with its disks.
pub(super) async fn export(shared: &Arc<Shared>, origin: &Origin, request: &Request) -> Reply {
    let object = request
        .query("uuid")
        .or_else(|| request.query("ref"))
        .unwrap_or_default();
    let action = Action {
        name: "get_export",
        label: "VM.export",
    };
    let access = match Access::check(shared, origin, request, action, &object).await {
        Ok(access) => access,
        Err(refusal) => return *refusal,
    };
    let prepared = shared.with(|state| {
        access.fault()?;
        let vm = find(state, request, "VM")?;
        vm::assert_operation(state, &vm, "export")?;
        let keep = request.query("preserve_power_state").as_deref() == Some("true");
        let ova = Ova::describe(state, std::slice::from_ref(&vm), false, keep)?;
        if let Some(location) = elsewhere(state, origin, &ova)? {
            return Ok(Err(location));
        }
        state
            .db
            .set_entry("VM", &vm, "current_operations", &access.task, "export");
        vm::refresh(state, &vm);
        let date = state.clock.now().unix_seconds();
        let disks = ova.disks.iter().map(|(folder, vdi)| disk(state, folder, vdi)).collect();
        Ok(Ok((
            vm,
            Archive::new(ova.xml, u64::try_from(date).unwrap_or_default(), disks),
        )))
    });
    let (vm, archive) = match prepared {
        Ok(Ok(prepared)) => prepared,
        Ok(Err(location)) => return access.redirect(shared, &location, request),
        Err(error) => return access.refuse(shared, &error),
    };
    let pieces = compressed(archive, request.query("use_compression").as_deref());
    let reply = access.transfer(shared, Some(vm), pieces);
    let mut reply = reply
        .with("content-type", "application/octet-stream")
        .with("content-disposition", "attachment; filename=\"export.xva\"");
    reply.old = true;
    reply
}

/// `GET /export_metadata`: the description alone, in one piece of known length.
pub(super) async fn export_metadata(shared: &Arc<Shared>, origin: &Origin, request: &Request) -> Reply {
    let object = request
        .query("uuid")
        .or_else(|| request.query("ref"))
        .unwrap_or_default();
    let action = Action {
        name: "get_export_metadata",
        label: "VM.export_metadata",
    };
    let access = match Access::check(shared, origin, request, action, &object).await {
        Ok(access) => access,
        Err(refusal) => return *refusal,
    };
    let archive = shared.with(|state| {
        access.fault()?;
        let vms = if request.query("all").as_deref() == Some("true") {
            let wanted = |vm: &String| !state.db.flag("VM", vm, "is_a_snapshot");
            state.db.refs("VM").into_iter().filter(wanted).collect()
        } else {
            vec![find(state, request, "VM")?]
        };
        let snapshots = request.query("export_snapshots").as_deref() != Some("false");
        let ova = Ova::describe(state, &vms, snapshots, true)?;
        let date = state.clock.now().unix_seconds();
        Ok(Archive::new(
            ova.xml,
            u64::try_from(date).unwrap_or_default(),
            Vec::new(),
        ))
    });
    let body = archive.and_then(|archive| {
        archive
            .collect::<io::Result<Vec<_>>>()
            .map_err(|error| ApiError::internal(&error.to_string()))
    });
    match body {
        Ok(pieces) => access
            .document(shared, "application/octet-stream", pieces.concat())
            .with("content-disposition", "attachment; filename=\"export.xva\""),
        Err(error) => access.refuse(shared, &error),
    }
}

/// A disk as it goes into an archive.
pub(super) fn disk(state: &State, folder: &str, vdi: &str) -> Disk {
    Disk {
        folder: folder.to_owned(),
        size: u64::try_from(state.db.int("VDI", vdi, "virtual_size")).unwrap_or_default(),
        image: state.images.get(vdi).cloned(),
    }
}

/// The object that `uuid` or `ref` of a query names.
pub(super) fn find(state: &State, request: &Request, class: &'static str) -> Result<String> {
    match request.query("ref") {
        Some(reference) => state.require(class, &reference).map(|()| reference),
        None => find_by(state, class, request.query("uuid")),
    }
}

/// The object with this UUID or reference.
pub(super) fn find_by(state: &State, class: &'static str, name: Option<String>) -> Result<String> {
    let name = name.unwrap_or_default();
    if state.db.exists(class, &name) {
        return Ok(name);
    }
    state
        .db
        .find(class, "uuid", &name)
        .ok_or_else(|| ApiError::new("UUID_INVALID", [class, &name]))
}

/// Where to ask instead, if this host does not see all the disks.
fn elsewhere(state: &State, origin: &Origin, ova: &Ova) -> Result<Option<String>> {
    let storage = ova.disks.iter().map(|(_, vdi)| state.db.text("VDI", vdi, "SR"));
    host_that_sees(state, origin, &storage.collect::<Vec<_>>())
}

/// Where to ask instead, if this host does not see all these SRs.
///
/// # Errors
/// Where no host sees them all.
pub(super) fn host_that_sees(state: &State, origin: &Origin, storage: &[String]) -> Result<Option<String>> {
    let sees_all = |host: &String| storage.iter().all(|sr| sr::is_seen_by(state, sr, host));
    if state.hosts.get(origin.host).is_some_and(sees_all) {
        return Ok(None);
    }
    let other = state.hosts.iter().position(sees_all);
    let location = other.and_then(|host| location(origin, host));
    location
        .map(Some)
        .ok_or_else(|| ApiError::new("NO_HOSTS_AVAILABLE", []))
}

/// The archive as it goes over the wire. An unknown method of compression means none.
fn compressed(archive: Archive, method: Option<&str>) -> Pieces {
    match method {
        Some("true" | "gzip") => {
            let encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            Box::new(Compressing {
                pieces: archive,
                encoder: Some(Encoder::Gzip(encoder)),
            })
        }
        Some("zstd") => match zstd::stream::write::Encoder::new(Vec::new(), 3) {
            Ok(encoder) => Box::new(Compressing {
                pieces: archive,
                encoder: Some(Encoder::Zstd(encoder)),
            }),
            Err(error) => Box::new(std::iter::once(Err(error))),
        },
        _ => Box::new(archive),
    }
}

enum Encoder {
    Gzip(flate2::write::GzEncoder<Vec<u8>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
}

struct Compressing {
    pieces: Archive,
    encoder: Option<Encoder>,
}

impl Compressing {
    fn next_piece(&mut self) -> io::Result<Option<Bytes>> {
        while let Some(encoder) = &mut self.encoder {
            let Some(piece) = self.pieces.next().transpose()? else {
                let rest = match self.encoder.take() {
                    Some(Encoder::Gzip(encoder)) => encoder.finish()?,
                    Some(Encoder::Zstd(encoder)) => encoder.finish()?,
                    None => Vec::new(),
                };
                return Ok(Some(rest.into()));
            };
            let made = match encoder {
                Encoder::Gzip(encoder) => {
                    encoder.write_all(&piece)?;
                    std::mem::take(encoder.get_mut())
                }
                Encoder::Zstd(encoder) => {
                    encoder.write_all(&piece)?;
                    std::mem::take(encoder.get_mut())
                }
            };
            if !made.is_empty() {
                return Ok(Some(made.into()));
            }
        }
        Ok(None)
    }
}

impl Iterator for Compressing {
    type Item = io::Result<Bytes>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_piece().transpose()
    }
}
