//! How an archive is read.

/// What to do with the checksums of blocks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verify {
    /// A block that differs from its checksum is an [`Error::Checksum`](crate::Error::Checksum).
    #[default]
    Strict,
    /// A block that differs is delivered all the same; [`Block::check`](crate::Block::check) and the
    /// [`Summary`](crate::Summary) tell. For saving what can be saved.
    Report,
    /// Checksums are not computed.
    Off,
}

/// How an archive is read. The defaults suit genuine archives of any size.
#[derive(Debug, Clone)]
pub struct Options {
    pub(crate) verify: Verify,
    pub(crate) metadata_limit: u64,
    pub(crate) block_limit: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            verify: Verify::Strict,
            metadata_limit: 64 << 20,
            block_limit: 64 << 20,
        }
    }
}

impl Options {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// What to do with the checksums of blocks; [`Verify::Strict`] unless set.
    #[must_use]
    pub fn verify(mut self, verify: Verify) -> Self {
        self.verify = verify;
        self
    }

    /// The longest `ova.xml` that is read, in bytes; 64 MiB unless set. One machine takes some 30 KiB, the metadata of
    /// a large pool tens of megabytes.
    #[must_use]
    pub fn metadata_limit(mut self, bytes: u64) -> Self {
        self.metadata_limit = bytes;
        self
    }

    /// The longest block that is read, in bytes; 64 MiB unless set. xapi writes blocks of 1 MiB.
    /// [`Disk::copy_to`](crate::Disk::copy_to) holds up to five blocks, everything else one.
    #[must_use]
    pub fn block_limit(mut self, bytes: u64) -> Self {
        self.block_limit = bytes;
        self
    }
}
