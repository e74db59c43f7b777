use std::io;

use dom0::xen::{Store, StoreError, XenStorePath};
use serial_link_protocol::{Board, Host};

use super::board::Values;

/// Where host and guest meet, below the guest's folder in xenstore. XenServer and XCP-ng mirror `vm-data` into
/// VM.xenstore_data; on plain Xen guests may write below `data` only.
pub const MEETING: &str = "vm-data/serial-link";

/// The values of a guest in a host's xenstore.
#[derive(Debug)]
pub struct XenStoreValues {
    store: Store,
    domain: u32,
    folder: XenStorePath,
    /// Some domain has.
    may_have_ended: bool,
}

impl XenStoreValues {
    /// Of a domain, in this folder of its own, such as [`MEETING`].
    ///
    /// # Errors
    /// If there is no such domain, or xenstore does not answer.
    pub async fn open(mut store: Store, domain: u32, folder: &str) -> io::Result<Self> {
        let folder = XenStorePath::domain(domain).child(folder).map_err(io::Error::other)?;
        store.watch(&folder, "board").await.map_err(io::Error::other)?;
        store
            .watch(&XenStorePath::domain_released(), "end")
            .await
            .map_err(io::Error::other)?;
        let mut values = Self {
            store,
            domain,
            folder,
            may_have_ended: false,
        };
        values.check().await?;
        Ok(values)
    }

    async fn check(&mut self) -> io::Result<()> {
        let names = self.store.list(&XenStorePath::domain(self.domain)).await;
        match names.map_err(io::Error::other)? {
            Some(_) => Ok(()),
            None => Err(io::Error::new(
                io::ErrorKind::NotFound,
                format!("domain {} has ended", self.domain),
            )),
        }
    }
}

impl Values for XenStoreValues {
    async fn changed(&mut self) -> io::Result<Vec<String>> {
        let event = self.store.event().await.map_err(io::Error::other)?;
        if event.token == "end" {
            // Asked behind this, where nothing can be cut off.
            self.may_have_ended = true;
            return Ok(vec!["ga".to_owned()]);
        }
        Ok(match event.path.strip_prefix(self.folder.as_str()) {
            Some("") => Board::<Host>::theirs().collect(),
            Some(name) => vec![name.trim_start_matches('/').to_owned()],
            None => Vec::new(),
        })
    }

    async fn read(&mut self, names: Vec<String>) -> io::Result<Vec<(String, String)>> {
        if std::mem::take(&mut self.may_have_ended) {
            self.check().await?;
        }
        let mut values = Vec::new();
        for name in names {
            let path = self.folder.child(&name).map_err(io::Error::other)?;
            let value = self.store.read(&path).await.map_err(io::Error::other)?;
            if let Some(value) = value.and_then(|value| String::from_utf8(value).ok()) {
                values.push((name, value));
            }
        }
        Ok(values)
    }

    async fn write(&mut self, values: Vec<(String, String)>) -> io::Result<()> {
        for (name, value) in values {
            let path = self.folder.child(&name).map_err(io::Error::other)?;
            let written: Result<(), StoreError> = self.store.write(&path, value.as_bytes()).await;
            written.map_err(io::Error::other)?;
        }
        Ok(())
    }
}
