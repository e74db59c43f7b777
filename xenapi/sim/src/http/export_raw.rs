//! `GET /export_raw_vdi`: one disk.

use std::io;
use std::sync::Arc;

use super::access::{Access, Action};
use super::export::{disk, find_by, host_that_sees};
use super::message::{Reply, Request};
use super::transfer::Pieces;
use crate::behaviour::vdi;
use crate::disk_image::DiskImage;
use crate::dispatch::Origin;
use crate::error::{ApiError, Result};
use crate::qcow2;
use crate::state::{Shared, State};
use crate::vhd;
use crate::xva_stream::Archive;

/// How the bytes of a disk are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Raw,
    Vhd,
    Tar,
    Qcow2,
}

impl Format {
    /// The format that a query asks for; the error is what a task says of an unknown one.
    pub(super) fn of(request: &Request) -> Result<Self> {
        let name = request.query("format").unwrap_or_default();
        match name.to_ascii_lowercase().as_str() {
            "" | "raw" => Ok(Self::Raw),
            "vhd" => Ok(Self::Vhd),
            "tar" => Ok(Self::Tar),
            "qcow2" => Ok(Self::Qcow2),
            _ => Err(ApiError::internal(&format!("Unknown format {name}"))),
        }
    }

    const fn extension(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Vhd => "vhd",
            Self::Tar => "tar",
            Self::Qcow2 => "qcow2",
        }
    }

    const fn content_type(self) -> &'static str {
        match self {
            Self::Raw => "application/octet-stream",
            Self::Vhd => "application/vhd",
            Self::Tar => "application/x-tar",
            Self::Qcow2 => "application/x-qemu-disk",
        }
    }
}

pub(super) async fn export_raw_vdi(shared: &Arc<Shared>, origin: &Origin, request: &Request) -> Reply {
    let object = request.query("vdi").unwrap_or_default();
    let action = Action {
        name: "get_export_raw_vdi",
        label: "VDI.export_raw",
    };
    let access = match Access::check(shared, origin, request, action, &object).await {
        Ok(access) => access,
        Err(refusal) => return *refusal,
    };
    let format = match Format::of(request) {
        Ok(format) => format,
        Err(error) => return access.refuse_as(shared, &error, 404),
    };
    let prepared = shared.with(|state| {
        access.fault()?;
        let vdi = find_by(state, "VDI", request.query("vdi"))?;
        vdi::has_content(state, &vdi)?;
        let base = match request.query("base") {
            Some(name) if matches!(format, Format::Vhd | Format::Qcow2) => Some(find_by(state, "VDI", Some(name))?),
            _ => None,
        };
        let storage = [state.db.text("VDI", &vdi, "SR")];
        let elsewhere = host_that_sees(state, origin, &storage)?;
        let pieces = pieces(state, &vdi, base.as_deref(), format);
        Ok((state.uuid("VDI", &vdi), pieces, elsewhere))
    });
    let (uuid, pieces) = match prepared {
        Ok((_, _, Some(location))) => return access.redirect(shared, &location, request),
        Ok((uuid, pieces, None)) => (uuid, pieces),
        Err(error) => return access.refuse(shared, &error),
    };
    let name = format!("attachment; filename=\"{uuid}.{}\"", format.extension());
    access
        .transfer(shared, None, pieces)
        .with("content-type", format.content_type())
        .with("content-disposition", name)
}

fn pieces(state: &mut State, vdi: &str, base: Option<&str>, format: Format) -> Pieces {
    let image = match format {
        Format::Raw => return Box::new(disk(state, "", vdi).into_raw()),
        Format::Tar => return Box::new(Archive::of_disk(disk(state, "vdi", vdi))),
        Format::Vhd => vhd(state, vdi, base).map(|image| Box::new(image) as Pieces),
        Format::Qcow2 => qcow2(state, vdi, base).map(|image| Box::new(image) as Pieces),
    };
    // Found out only after the 200.
    image.unwrap_or_else(|error| Box::new(std::iter::once(Err(error))))
}

fn qcow2(state: &State, vdi: &str, base: Option<&str>) -> io::Result<qcow2::Image> {
    let (size, image) = (vdi::size(state, vdi), content(state, vdi));
    match base {
        Some(base) => {
            comparable(state, [vdi, base])?;
            let base = content(state, base);
            qcow2::Image::difference(image, base, size)
        }
        None => qcow2::Image::whole(image, size),
    }
}

fn vhd(state: &mut State, vdi: &str, base: Option<&str>) -> io::Result<vhd::Image> {
    let size = vdi::size(state, vdi);
    if size > vhd::MAX_SIZE {
        let (size, limit) = (size.to_string(), vhd::MAX_SIZE.to_string());
        return Err(io::Error::other(ApiError::new("VDI_TOO_LARGE", [vdi, &size, &limit])));
    }
    let id = state.ids.number();
    let image = content(state, vdi);
    let Some(base) = base else {
        return vhd::Image::whole(image, size, id);
    };
    comparable(state, [vdi, base])?;
    let sr = state.db.text("VDI", base, "SR");
    let path = format!(
        "/run/sr-mount/{}/{}.vhd",
        state.uuid("SR", &sr),
        state.uuid("VDI", base)
    );
    let ids = [id, state.ids.number()];
    vhd::Image::difference(image, content(state, base), size, ids, &path)
}

/// Refuses disks that are no images.
fn comparable(state: &State, disks: [&str; 2]) -> io::Result<()> {
    for disk in disks {
        let sr = state.db.text("VDI", disk, "SR");
        if state.db.is("SR", &sr, "type", "iso") {
            let text = "Failure(\"Cannot compute differences on non-VHD images\")";
            return Err(io::Error::other(ApiError::internal(text)));
        }
    }
    Ok(())
}

fn content(state: &State, vdi: &str) -> Arc<DiskImage> {
    let image = state.images.get(vdi).cloned();
    image.unwrap_or_else(|| Arc::new(DiskImage::new(vdi::size(state, vdi))))
}
