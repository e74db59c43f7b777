//! A disk that is attached to a control domain while a client reads it.

use std::io;
use std::sync::Arc;

use xenapi::{ToValue, Value};

use crate::behaviour::{sr, vbd, vdi};
use crate::disk_image::DiskImage;
use crate::state::{Shared, State};

/// Dropping it detaches the disk.
#[derive(Debug)]
pub(super) struct Attached {
    shared: Arc<Shared>,
    vbd: String,
    image: Arc<DiskImage>,
    size: u64,
}

impl Attached {
    /// The disk that an export name means: `/` and its UUID, and a session that may read it.
    pub(super) fn open(shared: &Arc<Shared>, host: usize, name: &str) -> Option<Self> {
        let (uuid, session) = name.strip_prefix('/')?.split_once("?session_id=")?;
        shared.with(|state| {
            state.check_session(session).ok()?;
            let vdis = state.db.refs("VDI");
            let vdi = vdis.into_iter().find(|vdi| state.uuid("VDI", vdi) == uuid)?;
            vdi::has_content(state, &vdi).ok()?;
            let sr = state.db.text("VDI", &vdi, "SR");
            let here = state.hosts.get(host)?.clone();
            if !sr::is_seen_by(state, &sr, &here) || is_written(state, &vdi) {
                return None;
            }
            state.counters.nbd_connections += 1;
            let size = vdi::size(state, &vdi);
            let image = state
                .images
                .get(&vdi)
                .cloned()
                .unwrap_or_else(|| Arc::new(DiskImage::new(size)));
            Some(Self {
                shared: Arc::clone(shared),
                vbd: attach(state, &here, &vdi),
                image,
                size,
            })
        })
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Fills a buffer from an offset on; bytes behind the image are zero.
    pub(super) fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.shared
            .with(|state| state.counters.nbd_bytes += buffer.len() as u64);
        self.image.read(offset, buffer)
    }
}

/// Whether a VM that runs writes to the disk, so that it cannot be attached beside it.
fn is_written(state: &State, vdi: &str) -> bool {
    let writes =
        |vbd: &String| state.db.flag("VBD", vbd, "currently_attached") && state.db.is("VBD", vbd, "mode", "RW");
    state.db.list("VDI", vdi, "VBDs").iter().any(writes)
}

fn attach(state: &mut State, host: &str, vdi: &str) -> String {
    let control_domain = state.db.text("host", host, "control_domain");
    let fields = [
        ("VM", control_domain.to_value()),
        ("VDI", vdi.to_value()),
        ("userdevice", "autodetect".to_value()),
        ("mode", "RO".to_value()),
        ("type", "Disk".to_value()),
    ];
    let vbd = vbd::add(state, &fields);
    state.db.set("VBD", &vbd, "currently_attached", Value::Bool(true));
    vdi::refresh(state, vdi);
    vbd
}

impl Drop for Attached {
    fn drop(&mut self) {
        self.shared.with(|state| {
            if state.db.exists("VBD", &self.vbd) {
                vbd::detach(state, &self.vbd);
                vbd::remove(state, &self.vbd);
            }
        });
    }
}
