/// Why a list of changed blocks cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Not what `VDI.list_changed_blocks` gives.
    #[error("the list of changed blocks is no base64")]
    NotBase64(#[from] base64::DecodeError),
    /// The list ends before the disk: it is of another disk, or of before the disk grew.
    #[error(
        "the list of changed blocks is for {reach} bytes, but the disk has {size}: it is of another disk, or of before \
         the disk grew"
    )]
    TooShort {
        /// How many bytes of a disk the list speaks of.
        reach: u64,
        /// The disk's size.
        size: u64,
    },
}
