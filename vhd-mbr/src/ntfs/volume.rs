use std::collections::BTreeMap;
use std::sync::OnceLock;

use xen_disk::ReadAt;

use super::attribute_list;
use super::boot::Boot;
use super::mapped::Mapped;
use super::name::Name;
use super::record::{Attribute, Body, Record, kind};
use super::reference::FileReference;
use super::upcase::{UPCASE_SIZE, UpCase};
use super::walk::Walk;
use super::{Error, File};
use crate::bytes::u16_at;
use crate::layout::Obstacle;

/// An NTFS volume.
///
/// Opening it reads the boot sector, where `$MFT` is, and `$UpCase`; everything else is read when it is asked for. The
/// memory it takes grows with the number of pieces of `$MFT`, not with the size of the volume.
#[derive(Debug)]
pub struct Ntfs<D> {
    disk: D,
    boot: Boot,
    mft: Mapped,
    upcase: UpCase,
    obstacles: OnceLock<Vec<Obstacle>>,
}

/// What a volume says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct VolumeInfo {
    /// The name that the user has given it; empty where there is none.
    pub label: Name,
    /// The serial number; Windows shows its lower half.
    pub serial: u64,
    /// The version of NTFS, 3 and 1 since Windows XP.
    pub version: (u8, u8),
    /// Whether the volume was not unmounted, or waits for chkdsk.
    pub dirty: bool,
    /// The size of a sector in bytes.
    pub sector_size: u32,
    /// The size of a cluster in bytes.
    pub cluster_size: u64,
    /// The size of a file record in bytes.
    pub record_size: u32,
    /// The volume's size in bytes: all its clusters.
    pub size: u64,
}

pub(super) mod system {
    pub(in crate::ntfs) const MFT: u64 = 0;
    pub(in crate::ntfs) const LOG_FILE: u64 = 2;
    pub(in crate::ntfs) const VOLUME: u64 = 3;
    pub(in crate::ntfs) const ROOT: u64 = 5;
    pub(in crate::ntfs) const UP_CASE: u64 = 10;
    /// The records from here on are for users.
    pub(in crate::ntfs) const FIRST_USER: u64 = 24;
}

/// A file's records together are no longer than this.
const MOST_RECORD_BYTES: usize = 32 << 20;
/// The longest attribute list has fewer entries than this.
const MOST_ATTRIBUTES: usize = 16_384;

impl<D: ReadAt> Ntfs<D> {
    /// The volume on `disk`, which starts with the volume's first sector: a partition, not a whole disk.
    ///
    /// # Errors
    /// [`Error::NotNtfs`] and [`Error::BitLocker`] where there is something else; [`Error::BootSector`],
    /// [`Error::Torn`] or [`Error::Damaged`] where `$MFT` or `$UpCase` cannot be made out; [`Error::Read`] where the disk
    /// does not answer.
    pub fn open(disk: D) -> Result<Self, Error> {
        let boot = Boot::read(&disk)?;
        let mut volume = Self {
            mft: open_mft(&disk, &boot)?,
            disk,
            boot,
            upcase: UpCase::new(&[]),
            obstacles: OnceLock::new(),
        };
        let table = volume.file(FileReference::any(system::UP_CASE))?.stream("")?;
        let mut bytes = vec![0; table.len().min(UPCASE_SIZE) as usize];
        table.read(0, &mut bytes)?;
        volume.upcase = UpCase::new(&bytes);
        Ok(volume)
    }

    /// What the volume says of itself.
    ///
    /// # Errors
    /// Where the record of `$Volume` cannot be read.
    pub fn info(&self) -> Result<VolumeInfo, Error> {
        let file = self.file(FileReference::any(system::VOLUME))?;
        let label = file.value(kind::VOLUME_NAME).unwrap_or_default();
        let information = file.value(kind::VOLUME_INFORMATION).filter(|value| value.len() >= 12);
        let information = information.ok_or(file.damaged("$Volume does not tell its version"))?;
        Ok(VolumeInfo {
            label: Name::from_bytes(label),
            serial: self.boot.serial,
            version: (information[8], information[9]),
            dirty: u16_at(information, 10) & 1 != 0,
            sector_size: self.boot.sector_size,
            cluster_size: self.boot.cluster_size,
            record_size: self.boot.record_size as u32,
            size: self.boot.clusters * self.boot.cluster_size,
        })
    }

    /// The root directory.
    ///
    /// # Errors
    /// Where its record cannot be read.
    pub fn root(&self) -> Result<File<'_, D>, Error> {
        self.file(FileReference::ROOT)
    }

    /// The file that `reference` stands for, as directories name it.
    ///
    /// # Errors
    /// [`Error::Stale`] where the record has been given to another file since.
    pub fn file(&self, reference: FileReference) -> Result<File<'_, D>, Error> {
        let record = self.record(reference.record)?;
        if !record.in_use() || record.base().is_some() || !record.reference().agrees(reference) {
            return Err(Error::Stale {
                record: reference.record,
            });
        }
        let mut attributes = record.attributes()?;
        if let Some(list) = attributes
            .iter()
            .find(|attribute| attribute.kind == kind::ATTRIBUTE_LIST)
        {
            let entries = attribute_list::read(&self.disk, &self.boot, list)?;
            let others: BTreeMap<_, _> = entries
                .iter()
                .filter(|entry| entry.holder.record != reference.record)
                .map(|entry| (entry.holder.record, entry.holder))
                .collect();
            let offset = list.offset;
            let too_much = |what| Error::Damaged { offset, what };
            if others.len().saturating_mul(self.boot.record_size) > MOST_RECORD_BYTES {
                return Err(too_much("a file has more records than a file can have"));
            }
            for holder in others.into_values() {
                attributes.extend(self.extension(record.reference(), holder)?);
            }
            if attributes.len() > MOST_ATTRIBUTES {
                return Err(too_much(
                    "a file has more attributes than an attribute list has room for",
                ));
            }
        }
        Ok(File::new(self, &record, attributes))
    }

    /// The attributes in a further record of the file `base`.
    fn extension(&self, base: FileReference, holder: FileReference) -> Result<Vec<Attribute>, Error> {
        let record = self.record(holder.record)?;
        check_extension(&record, base, holder)?;
        record.attributes()
    }

    fn record(&self, number: u64) -> Result<Record, Error> {
        record_in(&self.mft, &self.disk, &self.boot, number)
    }

    /// Every file and directory below the root, each directory before what it contains.
    ///
    /// What cannot be read is told in its place, and the walk goes on behind it. Reparse points are not followed, and no
    /// directory is entered twice.
    ///
    /// # Errors
    /// Where the root directory cannot be read.
    pub fn walk(&self) -> Result<Walk<'_, D>, Error> {
        Walk::new(self)
    }

    /// The number of file records.
    pub fn records(&self) -> u64 {
        self.mft.initialized() / self.boot.record_size as u64
    }

    /// How many records `$MFTMirr` has copies of: four, or as many as a cluster holds.
    pub(super) fn mirrored(&self) -> u64 {
        (self.boot.cluster_size / self.boot.record_size as u64).max(4)
    }

    pub(crate) fn disk(&self) -> &D {
        &self.disk
    }

    pub(super) fn boot(&self) -> &Boot {
        &self.boot
    }

    pub(super) fn mft(&self) -> &Mapped {
        &self.mft
    }

    pub(super) fn upcase(&self) -> &UpCase {
        &self.upcase
    }

    pub(super) fn known_obstacles(&self) -> &OnceLock<Vec<Obstacle>> {
        &self.obstacles
    }
}

/// `$MFT` describes itself: a record that maps a piece of it lies in the pieces before.
fn open_mft(disk: &impl ReadAt, boot: &Boot) -> Result<Mapped, Error> {
    let record = Record::read(disk, boot.mft, boot.record_size, system::MFT)?;
    let attributes = record.attributes()?;
    let is_data = |attribute: &&Attribute| attribute.kind == kind::DATA && attribute.name.is_empty();
    let damaged = |what| Error::Damaged { offset: boot.mft, what };
    let first = attributes.iter().find(is_data).ok_or(damaged("$MFT has no content"))?;
    let mut mft = Mapped::begin(first, boot)?;
    if let Some(list) = attributes
        .iter()
        .find(|attribute| attribute.kind == kind::ATTRIBUTE_LIST)
    {
        let mut pieces = attribute_list::read(disk, boot, list)?;
        pieces.retain(|entry| entry.kind == kind::DATA && entry.name.is_empty() && entry.first > 0);
        pieces.sort_by_key(|entry| entry.first);
        for piece in pieces {
            let holder = record_in(&mft, disk, boot, piece.holder.record)?;
            check_extension(&holder, record.reference(), piece.holder)?;
            let attributes = holder.attributes()?;
            let mut data = attributes.iter().filter(is_data);
            let data = data.find(|data| matches!(&data.body, Body::Piece(found) if found.first == piece.first));
            mft.append(data.ok_or(damaged("a piece of $MFT is not where its list says"))?, boot)?;
        }
    }
    mft.check()?;
    Ok(mft)
}

fn record_in(mft: &Mapped, disk: &impl ReadAt, boot: &Boot, number: u64) -> Result<Record, Error> {
    let size = boot.record_size as u64;
    let records = mft.initialized().min(mft.mapped()) / size;
    let start = number.checked_mul(size).filter(|_| number < records);
    let start = start.ok_or(Error::NoSuchRecord {
        record: number,
        records,
    })?;
    let mut bytes = vec![0; boot.record_size];
    mft.read(disk, start, &mut bytes)?;
    Record::new(bytes, number, mft.position(start))
}

fn check_extension(record: &Record, base: FileReference, holder: FileReference) -> Result<(), Error> {
    let belongs = record.base().is_some_and(|found| found.agrees(base));
    if record.in_use() && belongs && record.reference().agrees(holder) {
        return Ok(());
    }
    Err(Error::Damaged {
        offset: record.offset(),
        what: "a record is not of the file whose attribute list names it",
    })
}
