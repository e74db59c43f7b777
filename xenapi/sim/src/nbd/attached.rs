//! A disk in the control domain of a host, where the server reads it.

use std::sync::Arc;

use xenapi::{ToValue, Value};

use super::TARGET;
use crate::behaviour::{sr, vbd, vdi};
use crate::disk_image::DiskImage;
use crate::dispatch::{self, Origin};
use crate::error::{ApiError, Result};
use crate::faults::Effect;
use crate::http::Request;
use crate::state::Shared;

/// A disk that the control domain has for as long as a client is there.
pub(super) struct Attached {
    shared: Arc<Shared>,
    vbd: String,
    pub(super) image: Arc<DiskImage>,
    /// In bytes.
    pub(super) size: u64,
    /// What goes wrong while it is read.
    pub(super) effect: Option<Effect>,
}

impl Attached {
    /// Attaches the disk that an export's name is about, `/UUID?session_id=REFERENCE`, with the rights of that session.
    pub(super) async fn attach(shared: &Arc<Shared>, host: usize, name: &str) -> Result<Self> {
        let name = Request {
            target: name.to_owned(),
            ..Request::default()
        };
        let session = name.query("session_id");
        let session = session.ok_or_else(|| ApiError::failure("No session_id parameter provided"))?;
        let path = name.target.split('?').next().unwrap_or_default();
        // Whatever is before it: usually a slash.
        let uuid = path.get(1..).unwrap_or_default();
        let call = async |method: &str, args: Vec<Value>| {
            let origin = shared.with(|state| coordinator(state.coordinator));
            let args = std::iter::once(session.to_value()).chain(args).collect();
            dispatch::call(shared, &origin, method, args, None).await
        };
        call("session.get_uuid", vec![session.to_value()]).await?;
        let vdi = call("VDI.get_by_uuid", vec![uuid.to_value()]).await?;
        let vdi = vdi.as_str().unwrap_or_default().to_owned();
        let (effect, domain) = shared.with(|state| {
            *state.counters.requests.entry(TARGET.to_owned()).or_default() += 1;
            let host = state.hosts.get(host).cloned().unwrap_or_default();
            let storage = state.db.text("VDI", &vdi, "SR");
            if !sr::is_seen_by(state, &storage, &host) {
                return Err(ApiError::new("HOST_CANNOT_ATTACH_SR", [&host, &storage]));
            }
            let effect = state.strike(TARGET, Some(uuid)).map(|(effect, _)| effect);
            Ok((effect, state.db.text("host", &host, "control_domain")))
        })?;
        match &effect {
            Some(Effect::Error(code, params)) => return Err(ApiError::owned(code, params)),
            Some(Effect::Delay(delay)) => tokio::time::sleep(*delay).await,
            _ => {}
        }
        let device = call("VBD.create", vec![device(&domain, &vdi)]).await?;
        let mut attached = Self {
            shared: Arc::clone(shared),
            vbd: device.as_str().unwrap_or_default().to_owned(),
            image: Arc::new(DiskImage::new(0)),
            size: 0,
            effect,
        };
        call("VBD.plug", vec![device]).await?;
        shared.with(|state| {
            attached.size = vdi::size(state, &vdi);
            if let Some(image) = state.images.get(&vdi) {
                attached.image = Arc::clone(image);
            }
        });
        Ok(attached)
    }

    /// Counts bytes of the disk that go to the client.
    pub(super) fn count(&self, bytes: usize) {
        self.shared.with(|state| {
            *state.counters.sent.entry(TARGET.to_owned()).or_default() += bytes as u64;
        });
    }

    /// Takes the disk away from the control domain, which takes as long as any operation.
    pub(super) async fn detach(self) {
        let pause = self
            .shared
            .with(|state| state.config.task_delay * state.config.task_steps.saturating_add(1));
        tokio::time::sleep(pause).await;
    }
}

impl Drop for Attached {
    /// With rights of its own: the client's session may have ended.
    fn drop(&mut self) {
        self.shared.with(|state| {
            if state.db.exists("VBD", &self.vbd) {
                vbd::detach(state, &self.vbd);
                vbd::remove(state, &self.vbd);
            }
        });
    }
}

/// Calls of a host's own programs reach the coordinator, from wherever they come.
fn coordinator(host: usize) -> Origin {
    Origin {
        host,
        scheme: "http",
        addresses: Arc::new([]),
    }
}

fn device(vm: &str, vdi: &str) -> Value {
    let none = || Value::Struct(Vec::new());
    let fields = [
        ("VM", vm.to_value()),
        ("VDI", vdi.to_value()),
        ("userdevice", "autodetect".to_value()),
        ("bootable", Value::Bool(false)),
        ("mode", "RO".to_value()),
        ("type", "Disk".to_value()),
        ("unpluggable", Value::Bool(true)),
        ("empty", Value::Bool(false)),
        ("other_config", none()),
        ("qos_algorithm_type", "".to_value()),
        ("qos_algorithm_params", none()),
    ];
    Value::Struct(
        fields
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
    )
}
