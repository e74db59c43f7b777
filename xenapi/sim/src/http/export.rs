//! The handlers that send VMs and disks.

use std::io::{self, Write as _};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;

use super::message::{Body, BodyStream, Broken, Reply, Request};
use super::pages;
use crate::behaviour::{sr, vm};
use crate::dispatch::Origin;
use crate::error::{ApiError, Result};
use crate::faults::Effect;
use crate::ova::Ova;
use crate::state::{Shared, State};
use crate::xva_stream::{Archive, Disk};

/// `GET /export`: a VM with its disks.
pub(super) async fn export(shared: &Arc<Shared>, origin: &Origin, request: &Request) -> Reply {
    let object = request
        .query("uuid")
        .or_else(|| request.query("ref"))
        .unwrap_or_default();
    let access = match Access::check(shared, origin, request, "get_export", "VM.export", &object).await {
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
        Ok(Err(location)) => return redirect(&location, request),
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
    let realm = "get_export_metadata";
    let access = match Access::check(shared, origin, request, realm, "VM.export_metadata", &object).await {
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
        Ok(pieces) => {
            shared.with(|state| access.end(state, &Ok(String::new())));
            Reply::full(200, pieces.concat())
                .with("connection", "keep-alive")
                .with("cache-control", "no-cache, no-store")
                .with("task-id", access.task.as_str())
                .with("content-type", "application/octet-stream")
                .with("content-disposition", "attachment; filename=\"export.xva\"")
        }
        Err(error) => access.refuse(shared, &error),
    }
}

/// `GET /export_raw_vdi`: one disk, as raw bytes only.
pub(super) async fn export_raw_vdi(shared: &Arc<Shared>, origin: &Origin, request: &Request) -> Reply {
    let object = request.query("vdi").unwrap_or_default();
    let realm = "get_export_raw_vdi";
    let access = match Access::check(shared, origin, request, realm, "VDI.export_raw", &object).await {
        Ok(access) => access,
        Err(refusal) => return *refusal,
    };
    let format = request.query("format").unwrap_or_default().to_ascii_lowercase();
    if !matches!(format.as_str(), "" | "raw") {
        let error = ApiError::internal(&format!("Unknown format {format}"));
        shared.with(|state| access.end(state, &Err(error)));
        return Reply {
            close: true,
            ..Reply::full(404, "")
        }
        .with("connection", "close");
    }
    let prepared = shared.with(|state| {
        access.fault()?;
        let vdi = find_by(state, "VDI", request.query("vdi"))?;
        Ok((state.uuid("VDI", &vdi), disk(state, "", &vdi)))
    });
    let (uuid, disk) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => return access.refuse(shared, &error),
    };
    access
        .transfer(shared, None, Box::new(disk.into_raw()))
        .with("content-type", "application/octet-stream")
        .with("content-disposition", format!("attachment; filename=\"{uuid}.raw\""))
}

fn disk(state: &State, folder: &str, vdi: &str) -> Disk {
    Disk {
        folder: folder.to_owned(),
        size: u64::try_from(state.db.int("VDI", vdi, "virtual_size")).unwrap_or_default(),
        image: state.images.get(vdi).cloned(),
    }
}

/// The object that `uuid` or `ref` of a query names.
fn find(state: &State, request: &Request, class: &'static str) -> Result<String> {
    match request.query("ref") {
        Some(reference) => state.require(class, &reference).map(|()| reference),
        None => find_by(state, class, request.query("uuid")),
    }
}

/// The object with this UUID or reference.
fn find_by(state: &State, class: &'static str, name: Option<String>) -> Result<String> {
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
    let storage: Vec<_> = ova
        .disks
        .iter()
        .map(|(_, vdi)| state.db.text("VDI", vdi, "SR"))
        .collect();
    let sees_all = |host: &String| storage.iter().all(|sr| sr::is_seen_by(state, sr, host));
    if state.hosts.get(origin.host).is_some_and(sees_all) {
        return Ok(None);
    }
    let other = state
        .hosts
        .iter()
        .position(sees_all)
        .and_then(|at| origin.addresses.get(at));
    let address = other.ok_or_else(|| ApiError::new("NO_HOSTS_AVAILABLE", []))?;
    Ok(Some(format!("{}://{address}", origin.scheme)))
}

fn redirect(location: &str, request: &Request) -> Reply {
    let reply = Reply {
        close: true,
        ..Reply::full(302, "")
    };
    reply
        .with("connection", "close")
        .with("cache-control", "no-cache, no-store")
        .with("location", format!("{location}{}", request.target))
}

type Pieces = Box<dyn Iterator<Item = io::Result<Bytes>> + Send>;

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

/// A transfer that was let in, and the task that stands for it.
struct Access {
    task: String,
    effect: Option<Effect>,
}

impl Access {
    /// Looks for a session or a password, and commits faults that need no body.
    async fn check(
        shared: &Arc<Shared>,
        origin: &Origin,
        request: &Request,
        realm: &str,
        label: &str,
        object: &str,
    ) -> Result<Self, Box<Reply>> {
        let effect = shared.with(|state| state.strike(request.path(), Some(object)).map(|(effect, _)| effect));
        if let Some(Effect::Delay(delay)) = effect {
            tokio::time::sleep(delay).await;
        }
        let given = request.parameter("task_id").filter(|task| !task.is_empty());
        let allowed = shared.with(|state| {
            let allowed = effect != Some(Effect::Unauthorized) && authenticate(state, request);
            if let (false, Some(task)) = (allowed, &given) {
                state.finish_task(task, &Err(ApiError::new("SESSION_AUTHENTICATION_FAILED", [])));
            }
            allowed
        });
        if !allowed {
            return Err(Box::new(pages::unauthorised(realm)));
        }
        if effect == Some(Effect::ServerError) {
            return Err(Box::new(pages::internal_error("Stack_overflow")));
        }
        let task = given.unwrap_or_else(|| shared.with(|state| state.new_task(label, "", origin.host)));
        Ok(Self { task, effect })
    }

    /// The error of a fault that fails the transfer before it begins.
    fn fault(&self) -> Result<()> {
        match &self.effect {
            Some(Effect::Error(code, params)) => Err(ApiError::owned(code, params)),
            _ => Ok(()),
        }
    }

    fn refuse(&self, shared: &Shared, error: &ApiError) -> Reply {
        shared.with(|state| self.end(state, &Err(error.clone())));
        pages::internal_error(&format!("{}: [ {} ]", error.code, error.params.join("; ")))
    }

    fn end(&self, state: &mut State, outcome: &Result<String>) {
        if self.effect == Some(Effect::VanishTask) {
            state.db.remove("task", &self.task);
        } else {
            state.finish_task(&self.task, outcome);
        }
    }

    /// Sends the pieces; the task ends with them.
    fn transfer(self, shared: &Arc<Shared>, vm: Option<String>, pieces: Pieces) -> Reply {
        let task = self.task.clone();
        let transfer = Transfer::new(shared, self, vm, pieces);
        let stream = stream::unfold(Some(transfer), async |transfer| {
            let mut transfer = transfer?;
            tokio::task::yield_now().await;
            match transfer.next_piece() {
                Step::Piece(piece) => Some((Ok(piece), Some(transfer))),
                Step::Last(piece) => Some((Ok(piece), None)),
                Step::Broken(broken) => Some((Err(broken), None)),
                Step::End => None,
            }
        });
        let stream: BodyStream = Box::pin(stream);
        let reply = Reply {
            body: Body::Stream(stream),
            close: true,
            ..Reply::full(200, "")
        };
        // The missing space is xapi's.
        reply
            .with("connection", "close")
            .with("cache-control", "no-cache, no-store")
            .with("task-id:", task)
    }
}

/// Whether a request carries a session that lives, or the right name and password.
fn authenticate(state: &mut State, request: &Request) -> bool {
    if let Some(session) = request.parameter("session_id") {
        return state.check_session(&session).is_ok();
    }
    let basic = request
        .header("authorization")
        .and_then(|text| text.strip_prefix("Basic "));
    let Some(decoded) = basic.and_then(|text| base64(text.trim())) else {
        return false;
    };
    decoded == format!("{}:{}", state.config.user, state.config.password).into_bytes()
}

/// Decodes base64; none where it is not.
fn base64(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let (mut bits, mut count) = (0_u32, 0);
    for byte in text.trim_end_matches('=').bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
            bits &= (1 << count) - 1;
        }
    }
    Some(out)
}

enum Step {
    Piece(Bytes),
    Last(Bytes),
    Broken(Broken),
    End,
}

/// A body under way. Dropping it early is what happens when the client goes away: the task fails.
struct Transfer {
    shared: Arc<Shared>,
    access: Access,
    vm: Option<String>,
    pieces: Pieces,
    sent: u64,
    ended: bool,
}

impl Transfer {
    fn new(shared: &Arc<Shared>, access: Access, vm: Option<String>, pieces: Pieces) -> Self {
        shared.with(|state| {
            let counters = &mut state.counters;
            counters.exports += 1;
            counters.most_exports = counters.most_exports.max(counters.exports);
        });
        Self {
            shared: Arc::clone(shared),
            access,
            vm,
            pieces,
            sent: 0,
            ended: false,
        }
    }

    fn next_piece(&mut self) -> Step {
        if let Err(cancelled) = self.shared.with(|state| state.check_cancelled(&self.access.task)) {
            self.end(&Err(cancelled));
            return Step::Broken(Broken::Closed);
        }
        let mut piece = match self.pieces.next() {
            Some(Ok(piece)) => piece,
            Some(Err(error)) => {
                self.end(&Err(ApiError::new("VDI_IO_ERROR", [&error.to_string()])));
                return Step::Broken(Broken::Closed);
            }
            None => {
                self.end(&Ok(String::new()));
                return Step::End;
            }
        };
        let cut = match self.access.effect {
            Some(Effect::Truncate(bytes) | Effect::ErrorInBody(bytes)) => Some(bytes),
            Some(Effect::Reset) => Some(4096),
            _ => None,
        };
        let room = cut.map(|cut| cut.saturating_sub(self.sent));
        self.sent += piece.len() as u64;
        match (room, &self.access.effect) {
            (Some(room), effect) if room <= piece.len() as u64 => {
                let (in_body, reset) = (
                    matches!(effect, Some(Effect::ErrorInBody(_))),
                    *effect == Some(Effect::Reset),
                );
                piece.truncate(room as usize);
                self.end(&Err(ApiError::new("VDI_IO_ERROR", ["Device I/O errors"])));
                if in_body {
                    Step::Last([piece, second_response()].concat().into())
                } else if reset {
                    Step::Broken(Broken::Reset)
                } else {
                    Step::Last(piece)
                }
            }
            _ => Step::Piece(piece),
        }
    }

    fn end(&mut self, outcome: &Result<String>) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        self.shared.with(|state| {
            state.counters.exports = state.counters.exports.saturating_sub(1);
            if let Some(vm) = &self.vm {
                state.db.remove_entry("VM", vm, "current_operations", &self.access.task);
                vm::refresh(state, vm);
            }
            self.access.end(state, outcome);
        });
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        self.end(&Err(ApiError::internal("Unix.Unix_error(Unix.EPIPE, \"write\", \"\")")));
    }
}

/// What xapi writes where it fails after it has said 200.
fn second_response() -> Bytes {
    let page = pages::internal_error("VDI_IO_ERROR: [ Device I/O errors ]");
    let Body::Full(body) = page.body else {
        return Bytes::new();
    };
    let mut text = format!("HTTP/1.1 500 Internal Error\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in &page.headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    [text.as_bytes(), b"\r\n", &body].concat().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_base64() {
        assert_eq!(base64("cm9vdDpwdw=="), Some(b"root:pw".to_vec()));
        assert_eq!(base64("cm9v"), Some(b"roo".to_vec()));
        assert_eq!(base64("!"), None);
    }
}
