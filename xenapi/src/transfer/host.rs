//! What a host hands out about itself.

use crate::{DownloadCall, Handler, Host, Source, UploadCall};

impl Host {
    /// Streams a backup of the host's file system, a tar archive.
    ///
    /// Least role: pool admin.
    #[doc(alias = "/host_backup")]
    pub fn backup(&self) -> DownloadCall {
        self.download("/host_backup")
    }

    /// Restores a backup of the host's file system; it takes effect when the host starts the next time.
    ///
    /// Least role: pool admin.
    #[doc(alias = "/host_restore")]
    pub fn restore(&self, source: Source) -> UploadCall<()> {
        let handler = Handler::new("/host_restore").at(self.reference());
        UploadCall::new(self.client().connection(), self.reference().to_wire(), handler, source)
    }

    /// Streams the host's logs, a compressed tar archive.
    ///
    /// Least role: pool operator.
    #[doc(alias = "/host_logs_download")]
    pub fn logs(&self) -> DownloadCall {
        self.download("/host_logs_download")
    }

    /// Streams a status report for support, a tar archive with these entries (`xenserver-logs`, `xapi`, …), or with
    /// all of them where none is named. [`system_status_entries`](Host::system_status_entries) lists them.
    ///
    /// Least role: pool operator.
    #[doc(alias = "/system-status")]
    pub fn system_status(&self, entries: &[&str]) -> DownloadCall {
        let call = self.download("/system-status").query("output", "tar");
        if entries.is_empty() {
            return call;
        }
        call.query("entries", entries.join(","))
    }

    /// Streams the list of what a status report can hold, with sizes and how private each entry is, as XML.
    ///
    /// Least role: pool operator.
    #[doc(alias = "/system-status")]
    pub fn system_status_entries(&self) -> DownloadCall {
        self.download("/system-status").query("list", "true")
    }

    fn download(&self, path: &'static str) -> DownloadCall {
        DownloadCall::new(
            self.client().connection(),
            self.reference().to_wire(),
            Handler::new(path).at(self.reference()),
        )
    }
}
