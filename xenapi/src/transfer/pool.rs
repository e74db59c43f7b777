//! What a pool hands out about itself.

use bytes::Bytes;

use crate::{
    Blob, Client, DateTime, DownloadCall, Handler, Host, Messages, PoolPatch, PoolPatches, Ref, Result, Source,
    UploadCall,
};

/// The most bytes in an answer that is held in memory.
const MOST: usize = 64 << 20;

impl Client {
    /// Streams a dump of the pool's database, as XML: the configuration of everything, and secrets with it.
    ///
    /// Least role: pool admin.
    #[doc(alias = "/pool/xmldbdump")]
    pub fn database_dump(&self) -> DownloadCall {
        DownloadCall::new(self.connection(), "database", Handler::new("/pool/xmldbdump"))
    }

    /// Streams who did what: the audit log, from a time on or from its beginning.
    ///
    /// Least role: read-only.
    #[doc(alias = "/audit_log")]
    pub fn audit_log(&self, since: Option<DateTime>) -> DownloadCall {
        let call = DownloadCall::new(self.connection(), "audit log", Handler::new("/audit_log"));
        match since {
            Some(since) => call.query("since", since.to_string()),
            None => call,
        }
    }

    /// The updates that these hosts lack, or all hosts where none is named, as JSON text.
    ///
    /// Least role: pool operator. Since xapi 22.20.
    ///
    /// # Errors
    /// As a download.
    #[doc(alias = "/updates")]
    pub async fn updates(&self, hosts: &[Ref<Host>]) -> Result<Bytes> {
        let handler = Handler::new("/updates");
        let hosts: Vec<_> = hosts.iter().map(Ref::to_wire).collect();
        let handler = if hosts.is_empty() {
            handler
        } else {
            handler.query("host_refs", hosts.join(";"))
        };
        handler.fetch(self.connection(), MOST).await
    }

    /// Uploads a bundle of updates, a tar archive, into the pool's repository.
    ///
    /// Least role: pool operator. Since xapi 24.
    #[doc(alias = "/bundle")]
    pub fn upload_bundle(&self, source: Source) -> UploadCall<()> {
        UploadCall::new(self.connection(), "bundle", Handler::new("/bundle"), source)
    }

    /// The services that the host offers beside XenAPI, as its little page lists them.
    ///
    /// Least role: read-only.
    ///
    /// # Errors
    /// As a download.
    #[doc(alias = "/services")]
    pub async fn services(&self) -> Result<Bytes> {
        Handler::new("/services").fetch(self.connection(), MOST).await
    }

    /// Streams a report of the workload balancing server, with the report's own arguments.
    ///
    /// Least role: read-only. Errors: `WLB_NOT_INITIALIZED` where the pool has no such server.
    #[doc(alias = "/wlb_report")]
    pub fn wlb_report(&self, report: &str, arguments: &[(&'static str, &str)]) -> DownloadCall {
        let call = DownloadCall::new(self.connection(), "report", Handler::new("/wlb_report")).query("report", report);
        arguments
            .iter()
            .fold(call, |call, (name, value)| call.query(name, *value))
    }

    /// Streams what the workload balancing server says about itself.
    ///
    /// Least role: read-only. Errors: `WLB_NOT_INITIALIZED` where the pool has no such server.
    #[doc(alias = "/wlb_diagnostics")]
    pub fn wlb_diagnostics(&self) -> DownloadCall {
        DownloadCall::new(self.connection(), "diagnostics", Handler::new("/wlb_diagnostics"))
    }
}

impl Blob {
    /// Streams the content of the blob.
    #[doc(alias = "/blob")]
    pub fn download(&self) -> DownloadCall {
        let reference = self.reference().to_wire();
        let handler = Handler::new("/blob").query("ref", &reference);
        DownloadCall::new(self.client().connection(), reference, handler)
    }

    /// Replaces the content of the blob.
    ///
    /// Least role: VM power admin.
    #[doc(alias = "/blob")]
    pub fn upload(&self, source: Source) -> UploadCall<()> {
        let reference = self.reference().to_wire();
        let handler = Handler::new("/blob").query("ref", &reference);
        UploadCall::new(self.client().connection(), reference, handler, source)
    }
}

impl Messages {
    /// Takes over messages of an object from another pool, in the XML that pools exchange.
    ///
    /// Least role: VM power admin.
    #[doc(alias = "/messages")]
    pub fn upload(&self, class: &str, uuid: &str, source: Source) -> UploadCall<()> {
        let handler = Handler::new("/messages").query("cls", class).query("uuid", uuid);
        UploadCall::new(self.client.connection(), uuid, handler, source)
    }
}

impl PoolPatches {
    /// Uploads a patch of the kind that releases before XenServer 7.1 had.
    ///
    /// Least role: pool operator. Errors: `INVALID_PATCH`.
    #[doc(alias = "/pool_patch_upload")]
    pub fn upload(&self, source: Source) -> UploadCall<Ref<PoolPatch>> {
        UploadCall::new(
            self.client.connection(),
            "patch",
            Handler::new("/pool_patch_upload"),
            source,
        )
    }
}
