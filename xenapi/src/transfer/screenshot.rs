//! `GET /vncsnapshot`: what a VM's screen shows.

use bytes::Bytes;

use crate::{Handler, Result, Vm};

/// The most bytes in a picture.
const MOST: usize = 64 << 20;

impl Vm {
    /// What the VM's screen shows now, as a JPEG picture. The VM must run.
    ///
    /// The server gives up after 30 seconds. Least role: VM operator.
    ///
    /// # Errors
    /// As a download; HTTP 500 or 404 for a VM without a graphical console.
    #[doc(alias = "/vncsnapshot")]
    pub async fn screenshot(&self) -> Result<Bytes> {
        let handler = Handler::new("/vncsnapshot").query("ref", self.reference().to_wire());
        match self.resident_on().await?.non_null() {
            Some(host) => handler.at(host).fetch(self.client().connection(), MOST).await,
            None => handler.fetch(self.client().connection(), MOST).await,
        }
    }
}
