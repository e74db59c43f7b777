//! `GET /vm_rrd`, `/host_rrd` and `/sr_rrd`.

use super::{MOST, Rrd, read};
use crate::{Client, Handler, Host, Result, Sr, Vm};

async fn fetch(client: &Client, path: &'static str, handler: Handler) -> Result<Rrd> {
    read(path, handler.fetch(client.connection(), MOST).await?, Rrd::parse).await
}

impl Vm {
    /// Everything that is kept of what was measured of the VM: a year, in four resolutions. Of a VM that does not run,
    /// it is what was archived when it last stopped.
    ///
    /// Takes the message `VM.get_uuid`. Least role: read-only.
    ///
    /// # Errors
    /// As a download; HTTP 404 or 500 for a VM of which nothing was ever measured.
    #[doc(alias = "/vm_rrd")]
    pub async fn rrd(&self) -> Result<Rrd> {
        let uuid = self.uuid().await?;
        fetch(self.client(), "/vm_rrd", Handler::new("/vm_rrd").query("uuid", uuid)).await
    }
}

impl Host {
    /// Everything that is kept of what was measured of the host: a year, in four resolutions.
    ///
    /// Least role: read-only.
    ///
    /// # Errors
    /// As a download.
    #[doc(alias = "/host_rrd")]
    pub async fn rrd(&self) -> Result<Rrd> {
        let handler = Handler::new("/host_rrd").at(self.reference());
        fetch(self.client(), "/host_rrd", handler).await
    }
}

impl Sr {
    /// Everything that is kept of what the coordinator measured of the storage repository.
    ///
    /// Takes the message `SR.get_uuid`. Least role: read-only.
    ///
    /// # Errors
    /// As a download; HTTP 404 or 500 where nothing is measured, as of a local repository of another host.
    #[doc(alias = "/sr_rrd")]
    pub async fn rrd(&self) -> Result<Rrd> {
        let uuid = self.uuid().await?;
        fetch(self.client(), "/sr_rrd", Handler::new("/sr_rrd").query("uuid", uuid)).await
    }
}
