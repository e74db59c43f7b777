//! `PUT /import_raw_vdi`: the content of one disk.

use std::sync::Arc;

use futures_util::FutureExt;
use xenapi::wire::xml::value_text;
use xenapi::{ToValue, Value};
use xva::Event;

use super::access::{Access, Action};
use super::export::{find_by, host_that_sees};
use super::export_raw::Format;
use super::intake::Intake;
use super::message::{Reply, Request};
use super::upload::Upload;
use crate::behaviour::vdi;
use crate::dispatch::Origin;
use crate::error::{ApiError, Result};
use crate::importer::{check_block, refusal};
use crate::qcow2;
use crate::state::{Shared, State};
use crate::vhd;

const SECTOR: u64 = 512;
/// Offset and length in front of each range of a framed upload.
const FRAME: usize = 12;

/// What an upload holds.
#[derive(Clone, Copy, Debug)]
enum Content {
    /// The disk from its start.
    Raw,
    /// Ranges of the disk, each with its place.
    Ranges,
    Vhd,
    Tar,
    Qcow2,
}

pub(super) async fn import_raw_vdi(shared: &Arc<Shared>, origin: &Origin, request: &Request, upload: Upload) -> Reply {
    let object = request.query("vdi").unwrap_or_default();
    let action = Action {
        name: "put_import_raw_vdi",
        label: "VDI.import_raw",
    };
    let access = match Access::check(shared, origin, request, action, &object).await {
        Ok(access) => access,
        Err(refusal) => return *refusal,
    };
    let content = match content(request) {
        Ok(content) => content,
        Err(error) => return access.refuse_as(shared, &error, 404),
    };
    if request.query("vdi").is_none() && !(names_storage(request) && matches!(content, Content::Raw)) {
        return access.refuse_as(shared, &ApiError::new("VDI_MISSING", ["", ""]), 400);
    }
    let prepared = shared.with(|state| {
        access.fault()?;
        let vdi = target(state, request, upload.length())?;
        let elsewhere = host_that_sees(state, origin, &[state.db.text("VDI", &vdi, "SR")])?;
        Ok((vdi, elsewhere))
    });
    let vdi = match prepared {
        Ok((_, Some(location))) => return access.redirect(shared, &location, request),
        Ok((vdi, None)) => vdi,
        Err(error) => return access.refuse(shared, &error),
    };
    Intake::new(shared, access, request.path(), upload).answer(move |intake| work(intake, vdi, content).boxed())
}

fn content(request: &Request) -> Result<Content> {
    if request.header("transfer-encoding").is_some() {
        return Err(ApiError::internal("Chunked encoding not supported"));
    }
    // Whatever its value is.
    let framed = request.parameter("chunked").is_some();
    match Format::of(request)? {
        Format::Raw if framed => Ok(Content::Ranges),
        Format::Raw => Ok(Content::Raw),
        _ if framed => Err(ApiError::internal("Chunked import is for the raw format")),
        Format::Vhd => Ok(Content::Vhd),
        Format::Tar => Ok(Content::Tar),
        Format::Qcow2 => Ok(Content::Qcow2),
    }
}

fn names_storage(request: &Request) -> bool {
    ["sr_id", "sr_uuid"].iter().any(|name| request.query(name).is_some())
}

/// The disk that the query names, or a new one in the SR that it names.
fn target(state: &mut State, request: &Request, length: Option<u64>) -> Result<String> {
    if let Some(name) = request.query("vdi") {
        return find_by(state, "VDI", Some(name));
    }
    let sr = request.query("sr_id").or_else(|| request.query("sr_uuid"));
    let sr = find_by(state, "SR", sr)?;
    let length = length.ok_or_else(|| ApiError::new("VDI_MISSING", [&sr, ""]))?;
    let size = i64::try_from(length).map_err(|_| ApiError::new("SR_FULL", [&length.to_string(), ""]))?;
    vdi::make(state, &sr, "Imported disk", size, "user")
}

async fn work(intake: &mut Intake, vdi: String, content: Content) -> Result<String> {
    let shared = Arc::clone(intake.shared());
    let mut target = shared.with(|state| Target::open(state, &shared, &vdi))?;
    match content {
        Content::Raw => raw(intake, &mut target).await?,
        Content::Ranges => ranges(intake, &mut target).await?,
        Content::Vhd => vhd(intake, &mut target).await?,
        Content::Tar => tar(intake, &mut target).await?,
        Content::Qcow2 => qcow2(intake, &mut target).await?,
    }
    Ok(value_text(&vdi.to_value()))
}

/// A disk that is being written; its utilisation is counted when that ends.
struct Target {
    shared: Arc<Shared>,
    vdi: String,
    size: u64,
}

impl Target {
    fn open(state: &State, shared: &Arc<Shared>, vdi: &str) -> Result<Self> {
        if vdi::is_attached(state, vdi) {
            return Err(ApiError::new("VDI_IN_USE", [vdi, "import"]));
        }
        if state.db.get("VDI", vdi, "read_only") == Some(&Value::Bool(true)) {
            return Err(ApiError::new("VDI_READONLY", [vdi]));
        }
        Ok(Self {
            shared: Arc::clone(shared),
            vdi: vdi.to_owned(),
            size: vdi::size(state, vdi),
        })
    }

    /// Writes what lies inside of the disk, and complains about the rest.
    fn write(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        let room = usize::try_from(self.size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let inside = &bytes[..bytes.len().min(room)];
        self.shared.with(|state| vdi::write(state, &self.vdi, offset, inside));
        if inside.len() < bytes.len() {
            return Err(ApiError::device());
        }
        Ok(())
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        self.shared.with(|state| vdi::count(state, &self.vdi));
    }
}

/// As many bytes as are announced, or as many as the disk has.
async fn raw(intake: &mut Intake, target: &mut Target) -> Result<()> {
    let length = intake.length().unwrap_or(target.size);
    while intake.taken() < length {
        let offset = intake.taken();
        let piece = intake.next(length - offset).await?.ok_or_else(ApiError::device)?;
        target.write(offset, &piece)?;
        progress(intake, length);
    }
    Ok(())
}

fn progress(intake: &Intake, length: u64) {
    let done = intake.taken() as f64 / length.max(1) as f64;
    intake
        .shared()
        .with(|state| state.set_progress(intake.task(), done.min(1.0)));
}

/// Ranges with their places, up to one of no bytes at no place.
async fn ranges(intake: &mut Intake, target: &mut Target) -> Result<()> {
    loop {
        let mut frame = [0; FRAME];
        let mut filled = 0;
        while filled < FRAME {
            let piece = intake
                .next((FRAME - filled) as u64)
                .await?
                .ok_or_else(ApiError::device)?;
            frame[filled..filled + piece.len()].copy_from_slice(&piece);
            filled += piece.len();
        }
        let (offset, length) = frame.split_at(8);
        let offset = offset.try_into().map_or(0, u64::from_le_bytes);
        let mut left = length
            .try_into()
            .map_or(0, |bytes| u64::from(u32::from_le_bytes(bytes)));
        if offset == 0 && left == 0 {
            return Ok(());
        }
        if !offset.is_multiple_of(SECTOR) || !left.is_multiple_of(SECTOR) {
            intake.reset();
            return Err(ApiError::device());
        }
        let mut at = offset;
        while left > 0 {
            let piece = intake.next(left).await?.ok_or_else(ApiError::device)?;
            target.write(at, &piece)?;
            at = at.saturating_add(piece.len() as u64);
            left -= piece.len() as u64;
        }
    }
}

/// An image that says itself which blocks it has. Its end is found by the announced length, or else, wrongly, by the
/// size of the disk.
async fn vhd(intake: &mut Intake, target: &mut Target) -> Result<()> {
    let announced = intake.length();
    let length = announced.unwrap_or(target.size);
    let mut reader = vhd::Reader::new(length, target.size);
    while intake.taken() < length {
        let left = length - intake.taken();
        let piece = intake.next(left).await?.ok_or_else(ApiError::device)?;
        let mut written = Ok(());
        let pushed = reader.push(&piece, |offset, data| {
            if written.is_ok() {
                written = target.write(offset, data);
            }
        });
        pushed.map_err(|defect| ApiError::new("VDI_IO_ERROR", [&defect.to_string()]))?;
        written?;
        progress(intake, length);
    }
    if announced.is_some() && reader.is_complete() {
        Ok(())
    } else {
        Err(ApiError::device())
    }
}

/// An image that says itself which clusters it has, up to the end of the upload. No progress is told.
async fn qcow2(intake: &mut Intake, target: &mut Target) -> Result<()> {
    let length = intake.length().unwrap_or(u64::MAX);
    let mut reader = qcow2::Reader::new(target.size);
    while intake.taken() < length {
        let Some(piece) = intake.next(length - intake.taken()).await? else {
            break;
        };
        let mut written = Ok(());
        let pushed = reader.push(&piece, |offset, data| {
            if written.is_ok() {
                written = target.write(offset, data);
            }
        });
        pushed.map_err(|defect| ApiError::new("VDI_IO_ERROR", [&defect.to_string()]))?;
        written?;
    }
    if reader.is_complete() {
        Ok(())
    } else {
        Err(ApiError::device())
    }
}

/// The blocks of one disk, packed as in an export of a VM.
async fn tar(intake: &mut Intake, target: &mut Target) -> Result<()> {
    let mut parser = xva::Parser::new();
    let mut end = 0;
    while end < target.size {
        let piece = intake.next(u64::MAX).await?;
        let piece = piece.ok_or_else(|| ApiError::new("IMPORT_ERROR_PREMATURE_EOF", []))?;
        let mut input = &piece[..];
        while let Some(event) = parser.feed(&mut input).map_err(refusal)? {
            let Event::Block(block) = event else { continue };
            check_block(&block, false)?;
            target.write(block.offset, block.data)?;
            end = end.max(block.offset.saturating_add(block.data.len() as u64));
        }
    }
    Ok(())
}
