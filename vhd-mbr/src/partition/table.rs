use super::check::Check;
use super::ebr::Logicals;
use super::gpt::{self, Found, Search};
use super::mbr::{ENTRIES_AT, ENTRY_LEN, SECTOR_LEN, bad_boot_flag, has_signature};
use super::source::{Chunk, Prefix, Source, Whole};
use super::{BareVolume, BootCode, Entry, Error, Gpt, Mbr, Partition, Unread, Warning};
use xen_disk::ReadAt;

/// The sector sizes that disks have; VMs of XenServer and XCP-ng see the first.
const SECTOR_SIZES: [u32; 2] = [512, 4096];

/// The partition table of a disk: an MBR with its logical partitions, or a GPT.
///
/// [`read`](Self::read) takes the first bytes of a disk and [`read_disk`](Self::read_disk) a whole one; where a disk's
/// size is known beforehand, or its sectors have an odd size, [`options`](Self::options) takes that too. `{}` prints
/// the table for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionTable {
    mbr: Mbr,
    gpt: Option<Gpt>,
    sector_size: u32,
    disk_size: Option<u64>,
    partitions: Vec<Partition>,
    warnings: Vec<Warning>,
    unread: Vec<Unread>,
}

impl PartitionTable {
    /// Reads the table from `first_bytes`, the beginning of a disk.
    ///
    /// 512 bytes are enough for the four partitions of an MBR, 17 KiB for a usual GPT. What lies further behind is not
    /// silently left out: [`unread`](Self::unread) says what and where.
    ///
    /// # Errors
    /// An [`Error`] that says why there is no table to show: the disk is blank, holds a volume without a table, has
    /// other data in its first sector, or a GPT that is damaged.
    pub fn read(first_bytes: &[u8]) -> Result<Self, Error> {
        Self::options().read(first_bytes)
    }

    /// Reads the table of a whole disk: with the logical partitions wherever they are, and with the backup of a GPT,
    /// which is compared with the GPT at the start and used if that is damaged.
    ///
    /// # Errors
    /// As [`read`](Self::read), and [`Error::Read`] or [`Error::Size`] where the disk fails.
    pub fn read_disk(disk: &impl ReadAt) -> Result<Self, Error> {
        Self::options().read_disk(disk)
    }

    /// What to know before reading.
    pub fn options() -> ReadOptions {
        ReadOptions::default()
    }

    /// The partitions in the order of their numbers: an extended partition with its primary siblings, then the logical
    /// partitions.
    pub fn partitions(&self) -> &[Partition] {
        &self.partitions
    }

    /// The partition with that number.
    pub fn partition(&self, number: u32) -> Option<&Partition> {
        self.partitions.iter().find(|partition| partition.number == number)
    }

    /// The first sector. With a GPT it only protects the disk, and may be blank.
    pub fn mbr(&self) -> &Mbr {
        &self.mbr
    }

    /// The GPT, if that is what the partitions come from.
    pub fn gpt(&self) -> Option<&Gpt> {
        self.gpt.as_ref()
    }

    /// The program in the first sector.
    pub fn boot_code(&self) -> BootCode {
        self.mbr.boot_code
    }

    /// The size of a sector in bytes: found out for a GPT; 512 for an MBR, which does not tell, unless
    /// [set](ReadOptions::sector_size).
    pub fn sector_size(&self) -> u32 {
        self.sector_size
    }

    /// The size of the disk in bytes, if it is known.
    pub fn disk_size(&self) -> Option<u64> {
        self.disk_size
    }

    /// What is odd about the table.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// What belongs to the table and was not within what was read.
    pub fn unread(&self) -> &[Unread] {
        &self.unread
    }

    /// Whether every partition is listed, so that reading more of the disk would add none.
    pub fn is_complete(&self) -> bool {
        !self.unread.iter().any(Unread::hides_partitions)
    }
}

/// What to know before reading a [`PartitionTable`].
///
/// ```
/// use vhd_mbr::partition::{PartitionTable, Warning};
///
/// # let mut first_block = vec![0; 512];
/// # first_block[446..462].copy_from_slice(&[0, 0, 0, 0, 0x83, 0, 0, 0, 0, 8, 0, 0, 0, 0, 1, 0]);
/// # first_block[510..].copy_from_slice(&[0x55, 0xaa]);
/// // The size is in the VDI's record before the first byte of the disk is there.
/// let table = PartitionTable::options().disk_size(16 << 20).read(&first_block)?;
/// assert!(matches!(table.warnings(), [Warning::BeyondEnd { number: 1, .. }, ..]));
/// # Ok::<(), vhd_mbr::partition::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct ReadOptions {
    disk_size: Option<u64>,
    sector_size: Option<u32>,
}

impl ReadOptions {
    /// The size of the disk in bytes, for warnings about its end. Bytes behind it are not looked at. Without it
    /// [`read`](Self::read) knows no end, and [`read_disk`](Self::read_disk) asks the disk.
    pub fn disk_size(mut self, bytes: u64) -> Self {
        self.disk_size = Some(bytes);
        self
    }

    /// The size of a sector in bytes, a power of two from 512 to 65536. Without it an MBR counts in sectors of 512
    /// bytes, and a GPT in 512 or 4096, whichever its header shows.
    pub fn sector_size(mut self, bytes: u32) -> Self {
        self.sector_size = Some(bytes);
        self
    }

    /// As [`PartitionTable::read`].
    ///
    /// # Errors
    /// As there, and [`Error::SectorSize`].
    pub fn read(self, first_bytes: &[u8]) -> Result<PartitionTable, Error> {
        self.read_source(&Prefix::new(first_bytes, self.disk_size))
    }

    /// As [`PartitionTable::read_disk`].
    ///
    /// # Errors
    /// As there, and [`Error::SectorSize`].
    pub fn read_disk(self, disk: &impl ReadAt) -> Result<PartitionTable, Error> {
        self.read_source(&Whole::new(disk, self.disk_size)?)
    }

    fn read_source(self, source: &dyn Source) -> Result<PartitionTable, Error> {
        let sector_sizes = match &self.sector_size {
            Some(size) if !(size.is_power_of_two() && (512..=65536).contains(size)) => {
                return Err(Error::SectorSize(*size));
            }
            Some(size) => std::slice::from_ref(size),
            None => &SECTOR_SIZES,
        };
        let Chunk::Bytes(sector) = source.read(0, SECTOR_LEN)? else {
            return Err(Error::TooShort {
                len: source.readable(),
                needed: SECTOR_LEN as u64,
            });
        };
        let is_mbr = has_signature(&sector) && bad_boot_flag(&sector).is_none();
        let mbr = Mbr::parse(&sector);

        if is_mbr && mbr.is_protective() {
            return match gpt::read(source, sector_sizes)? {
                Search::Found(found) => Ok(gpt_table(source, mbr, *found)),
                Search::Unread { offset } => {
                    mbr_table(source, mbr, sector_sizes[0], vec![Unread::GptHeader { offset }])
                }
            };
        }
        let gpt_header = find_gpt_header(source, sector_sizes)?;
        if is_mbr && !mbr.own_partitions().is_empty() {
            let mut table = mbr_table(source, mbr, sector_sizes[0], Vec::new())?;
            table
                .warnings
                .extend(gpt_header.map(|offset| Warning::IgnoredGpt { offset }));
            return Ok(table);
        }
        if let Some(volume) = BareVolume::detect(source, &sector)? {
            return Err(Error::BareVolume(volume));
        }
        if gpt_header.is_some()
            && let Search::Found(mut found) = gpt::read(source, sector_sizes)?
        {
            found.warnings.push(Warning::NoProtectiveMbr);
            return Ok(gpt_table(source, mbr, *found));
        }
        match bad_boot_flag(&sector) {
            _ if sector.iter().all(|&byte| byte == 0) => Err(Error::Blank),
            _ if !has_signature(&sector) => Err(Error::NoSignature {
                found: [sector[510], sector[511]],
            }),
            Some((number, offset, value)) => Err(Error::BootFlag { number, offset, value }),
            None => mbr_table(source, mbr, sector_sizes[0], Vec::new()),
        }
    }
}

/// Where the mark of a GPT header is, if it is within reach.
fn find_gpt_header(source: &dyn Source, sector_sizes: &[u32]) -> Result<Option<u64>, Error> {
    for &sector_size in sector_sizes {
        let offset = u64::from(sector_size);
        if let Chunk::Bytes(bytes) = source.read(offset, gpt::SIGNATURE.len())?
            && *bytes == *gpt::SIGNATURE
        {
            return Ok(Some(offset));
        }
    }
    Ok(None)
}

fn gpt_table(source: &dyn Source, mbr: Mbr, found: Found) -> PartitionTable {
    let Found {
        gpt,
        sector_size,
        partitions,
        mut warnings,
        unread,
    } = found;
    let own = mbr.own_partitions();
    if mbr.is_protective() && !own.is_empty() {
        warnings.push(Warning::HybridMbr { entries: own });
    }
    let check = Check {
        partitions: &partitions,
        disk_size: source.disk_size(),
        sector_size,
    };
    check.gpt(&gpt, &mut warnings);
    check.ranges(&mut warnings);
    PartitionTable {
        mbr,
        gpt: Some(gpt),
        sector_size,
        disk_size: source.disk_size(),
        partitions,
        warnings,
        unread,
    }
}

fn mbr_table(
    source: &dyn Source,
    mbr: Mbr,
    sector_size: u32,
    mut unread: Vec<Unread>,
) -> Result<PartitionTable, Error> {
    let in_bytes = |sectors: u32| u64::from(sectors) * u64::from(sector_size);
    let mut partitions: Vec<_> = (1..)
        .zip(mbr.entries)
        .filter(|(_, entry)| entry.is_used())
        .map(|(number, entry)| Partition {
            number,
            start: in_bytes(entry.start),
            len: in_bytes(entry.sectors),
            first_sector: entry.start.into(),
            sectors: entry.sectors.into(),
            entry_offset: (ENTRIES_AT + (number as usize - 1) * ENTRY_LEN) as u64,
            entry: Entry::Primary(entry),
        })
        .collect();

    let mut logicals = Logicals::default();
    for container in partitions
        .iter()
        .filter(|partition| partition.is_extended() && partition.len > 0)
    {
        logicals.follow(source, container, sector_size)?;
    }
    partitions.append(&mut logicals.partitions);
    unread.append(&mut logicals.unread);

    let mut warnings = logicals.warnings;
    let check = Check {
        partitions: &partitions,
        disk_size: source.disk_size(),
        sector_size,
    };
    check.ranges(&mut warnings);
    check.mbr(&mbr, &mut warnings);
    Ok(PartitionTable {
        mbr,
        gpt: None,
        sector_size,
        disk_size: source.disk_size(),
        partitions,
        warnings,
        unread,
    })
}
