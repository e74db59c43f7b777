//! Makes archives that a server imports.
//!
//! A [`Writer`] takes disks from anywhere, and their machine either as a [`VmSpec`] or as the `ova.xml` of another
//! archive. It reads the disks once for a [`Plan`], which knows how long the archive will be; then the plan writes it,
//! or hands it out as something to read.
//!
//! The archives are those that xapi would export: the disks in byte-wise order of their ids, in blocks of 1 MiB of which
//! those that are all zero are left out, except for the first and the last.

mod blocks;
mod compress;
mod emit;
mod error;
#[cfg(feature = "gzip")]
mod gzip;
mod metadata;
mod plan;
mod scan;
mod spec;

pub use compress::Compressor;
pub use emit::PlanReader;
pub use error::WriteError;
pub use plan::Plan;
pub use spec::{DiskSpec, Firmware, SpecError, VifSpec, VmSpec};

use std::time::{SystemTime, UNIX_EPOCH};

use xen_disk::ReadAt;

use crate::checksum::Algorithm;
use crate::ova::Ova;
use plan::{Draft, PlannedDisk};
use scan::Image;

/// Length of a block.
const BLOCK: usize = 1 << 20;

/// Packs disks into an archive.
///
/// ```
/// use xva::write::{DiskSpec, Firmware, VifSpec, VmSpec, Writer};
///
/// // In earnest these would be files: a sparse file's holes are not even read.
/// let (system, data) = (vec![1; 5 << 20], vec![0; 64 << 20]);
/// let vm = VmSpec::new("web")
///     .memory(2 << 30)
///     .vcpus(2)
///     .firmware(Firmware::Uefi)
///     .disk(DiskSpec::new("system", system))
///     .disk(DiskSpec::new("data", data))
///     .vif(VifSpec::new("Pool-wide network associated with eth0").bridge("xenbr0"));
/// let plan = Writer::new(vm).plan()?;
/// assert_eq!(plan.data_size(), (5 + 2) << 20, "of the empty disk the first block and the last");
///
/// let mut archive = Vec::new();
/// plan.write_to(&mut archive)?;
/// assert_eq!(archive.len() as u64, plan.size());
/// assert!(xva::Reader::new(&archive[..]).finish()?.is_complete());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Writer<S> {
    content: Content<S>,
    algorithm: Algorithm,
    exact_sizes: bool,
    end_blocks: bool,
}

#[derive(Debug)]
enum Content<S> {
    Described(VmSpec<S>),
    Given { xml: String, disks: Vec<(String, S)> },
}

impl<S: ReadAt> Writer<S> {
    /// Packs this machine.
    pub fn new(vm: VmSpec<S>) -> Self {
        Self::with_content(Content::Described(vm))
    }

    /// Packs the disks of these ids with the `ova.xml` of another archive, which stays as it is. Disks can be given in
    /// any order; each must be as long as its `virtual_size` there, or so before that was rounded up to 1 MiB.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use xva::write::{DiskSpec, VmSpec};
    /// use xva::write::Writer;
    ///
    /// # let original = Writer::new(VmSpec::new("web").disk(DiskSpec::new("system", vec![1; 1 << 20]))).plan()?;
    /// let ova = xva::ova::Ova::parse(original.ova_xml())?;
    /// let disk = ova.vms()[0].disks[0].id.clone();
    /// let plan = Writer::with_ova(ova.xml(), [(disk, vec![2; 1 << 20])]).plan()?;
    /// assert_eq!(plan.size(), original.size());
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_ova<I: Into<String>>(xml: impl Into<String>, disks: impl IntoIterator<Item = (I, S)>) -> Self {
        Self::with_content(Content::Given {
            xml: xml.into(),
            disks: disks.into_iter().map(|(id, source)| (id.into(), source)).collect(),
        })
    }

    fn with_content(content: Content<S>) -> Self {
        Self {
            content,
            algorithm: Algorithm::Xxh64,
            exact_sizes: false,
            end_blocks: true,
        }
    }

    /// How checksums are made: [`Algorithm::Xxh64`] unless set, [`Algorithm::Sha1`] for hosts before 8.1.
    #[must_use]
    pub fn checksums(mut self, algorithm: Algorithm) -> Self {
        self.algorithm = algorithm;
        self
    }

    /// Gives a described machine disks of exactly the length of their sources, which has to be a multiple of 512. Unless
    /// set, lengths are rounded up to 1 MiB, and the disks end with zeros.
    #[must_use]
    pub fn exact_sizes(mut self) -> Self {
        self.exact_sizes = true;
        self
    }

    /// Leaves the two zero blocks at the end off.
    ///
    /// xapi does not read them and closes the connection; a client that is still sending them may find it reset, and
    /// lose the reply. tar warns about an archive without them.
    #[must_use]
    pub fn without_end_blocks(mut self) -> Self {
        self.end_blocks = false;
        self
    }

    /// Reads the disks and finds out what the archive will hold.
    ///
    /// # Errors
    /// Where a disk cannot be read, or a server could not import what would come out.
    pub fn plan(self) -> Result<Plan<S>, WriteError> {
        let (xml, disks) = match self.content {
            Content::Described(vm) => described(vm, self.exact_sizes)?,
            Content::Given { xml, disks } => given(xml, disks)?,
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let draft = Draft {
            xml,
            disks,
            algorithm: self.algorithm,
            end_blocks: self.end_blocks,
            mtime: now.map_or(0, |now| now.as_secs()),
        };
        draft.plan()
    }
}

type Disks<S> = Vec<PlannedDisk<S>>;

fn described<S: ReadAt>(vm: VmSpec<S>, exact: bool) -> Result<(String, Disks<S>), WriteError> {
    vm.check()?;
    let positions = vm.positions()?;
    let source_sizes = vm.disks.iter().map(|disk| size_of(&disk.name_label, &disk.source));
    let source_sizes = source_sizes.collect::<Result<Vec<_>, _>>()?;
    let sizes: Vec<u64> = source_sizes
        .iter()
        .map(|&size| if exact { size } else { rounded_up(size) })
        .collect();
    let (xml, ids) = metadata::describe(&vm, &sizes, &positions);
    let disks = vm.disks.into_iter().zip(ids).zip(source_sizes.into_iter().zip(sizes));
    let disks = disks.map(|((disk, id), (source_size, size))| {
        let image = Image {
            source: disk.source,
            source_size,
            size,
        };
        PlannedDisk::new(id, disk.name_label, image)
    });
    Ok((xml, disks.collect()))
}

fn given<S: ReadAt>(xml: String, disks: Vec<(String, S)>) -> Result<(String, Disks<S>), WriteError> {
    let ova = Ova::parse(xml)?;
    let disks = disks.into_iter().map(|(id, source)| {
        let source_size = size_of(&id, &source)?;
        let virtual_size = ova.vdi(&id).and_then(|vdi| vdi.virtual_size);
        // Any other length is found to differ by the plan.
        let size = virtual_size.filter(|&size| size == rounded_up(source_size));
        let image = Image {
            source,
            source_size,
            size: size.unwrap_or(source_size),
        };
        Ok(PlannedDisk::new(id.clone(), id, image))
    });
    let disks = disks.collect::<Result<_, WriteError>>()?;
    Ok((ova.xml().to_owned(), disks))
}

fn size_of(label: &str, source: &impl ReadAt) -> Result<u64, WriteError> {
    source.size().map_err(|source| WriteError::Read {
        disk: label.to_owned(),
        offset: 0,
        source,
    })
}

/// The next multiple of a block, or the size itself where there is none.
fn rounded_up(size: u64) -> u64 {
    size.checked_next_multiple_of(BLOCK as u64).unwrap_or(size)
}
