//! What the builders with options of their own have in common with the plain ones.

/// The methods that a call with options of its own has in common with a plain one.
macro_rules! wraps_download {
    ($call:ident) => {
        impl $call {
            /// How long the server may send nothing before the transfer is given up; five minutes by default.
            pub fn silence_limit(mut self, limit: std::time::Duration) -> Self {
                self.call = self.call.silence_limit(limit);
                self
            }

            fn query(mut self, name: &'static str, value: impl Into<String>) -> Self {
                self.call = self.call.query(name, value);
                self
            }
        }

        impl std::future::IntoFuture for $call {
            type Output = crate::Result<crate::Download>;
            type IntoFuture = <crate::DownloadCall as std::future::IntoFuture>::IntoFuture;

            fn into_future(self) -> Self::IntoFuture {
                self.call.into_future()
            }
        }
    };
}

/// The same for uploads.
macro_rules! wraps_upload {
    ($call:ident, $result:ty) => {
        impl $call {
            /// Called about four times a second with the number of bytes that have gone out.
            pub fn on_sent(mut self, report: impl FnMut(u64) + Send + 'static) -> Self {
                self.call = self.call.on_sent(report);
                self
            }

            /// How long the server may take nothing, or work on after the last byte, before the transfer is given up;
            /// five minutes by default. It waits forever for the rest of an archive that breaks off.
            pub fn silence_limit(mut self, limit: std::time::Duration) -> Self {
                self.call = self.call.silence_limit(limit);
                self
            }

            fn query(mut self, name: impl Into<std::borrow::Cow<'static, str>>, value: impl Into<String>) -> Self {
                self.call = self.call.query(name, value);
                self
            }
        }

        impl std::future::IntoFuture for $call {
            type Output = crate::Result<$result>;
            type IntoFuture = <crate::UploadCall<$result> as std::future::IntoFuture>::IntoFuture;

            fn into_future(self) -> Self::IntoFuture {
                self.call.into_future()
            }
        }
    };
}

pub(super) use {wraps_download, wraps_upload};
