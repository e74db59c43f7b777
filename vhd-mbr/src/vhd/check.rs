use std::fmt;
use std::ops::Range;

use xen_disk::ReadAt;

use super::disk::NoParent;
use super::read::{size_of, within};
use super::tables::{self, Blocks};
use super::{Error, Footer, Header, Kind, Part, Platform, Problem, Vhd};

/// The most findings that are kept.
const MAX_FINDINGS: usize = 1000;

/// What a [`check`] has found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// What is odd or wrong, at most 1000 of it.
    pub findings: Vec<Finding>,
    /// How much more there is.
    pub more: u64,
}

impl Report {
    /// The worst of the findings; `None` where there are none.
    pub fn severity(&self) -> Option<Severity> {
        self.findings.iter().map(Finding::severity).max()
    }

    /// Whether every byte of the disk can be relied on.
    pub fn is_sound(&self) -> bool {
        self.severity() != Some(Severity::Damage)
    }

    fn add(&mut self, finding: Finding) {
        if self.findings.len() < MAX_FINDINGS {
            self.findings.push(finding);
        } else {
            self.more += 1;
        }
    }
}

/// How bad a [`Finding`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing; nothing is wrong.
    Note,
    /// Something is wrong that does not touch the disk's bytes.
    Warning,
    /// Bytes of the disk are lost, or not what they were.
    Damage,
}

/// What can be odd or wrong about a VHD. Positions are bytes from the start of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// The footer at the end cannot be used. [`repair`](super::repair) makes it anew, where its copy is whole.
    Footer(Problem),
    /// The copy of the footer at the start cannot be used; [`repair`](super::repair) makes it anew.
    FooterCopy(Problem),
    /// Neither of them can be used, so nothing else was looked at.
    NoFooter,
    /// The footer and its copy say different things.
    FootersDiffer,
    /// The footer has 511 bytes, as old programs wrote it.
    ShortFooter,
    /// A part without which no block can be found is damaged, so nothing else was looked at.
    Unusable {
        /// Which part.
        part: Part,
        /// Where it is.
        offset: u64,
        /// What is wrong with it.
        problem: Problem,
    },
    /// A fixed disk's file is too short.
    CutOff {
        /// How many bytes of the disk there are.
        there: u64,
        /// How many there should be.
        needed: u64,
    },
    /// A block does not end before the footer, or before the file does.
    BlockOutside {
        /// Which block.
        block: u32,
        /// Where it starts.
        offset: u64,
        /// Where it must end at the latest.
        end: u64,
    },
    /// A block lies over the tables.
    BlockOverTables {
        /// Which block.
        block: u32,
        /// Where it starts.
        offset: u64,
    },
    /// Two blocks share bytes of the file.
    BlocksOverlap {
        /// The block that starts first.
        first: u32,
        /// The one that starts before that ends.
        second: u32,
        /// Where the second one starts.
        offset: u64,
    },
    /// The batmap cannot be used; it is not needed.
    Batmap(Problem),
    /// The batmap says that a block is there as a whole, and it is not.
    BatmapWrong {
        /// Which block.
        block: u32,
    },
    /// A differencing disk that says nowhere where its parent is, as those that xapi exports.
    NoParentPath,
    /// A path to the parent should be where the file has ended.
    PathOutside {
        /// Which of the eight locators, from 0.
        locator: u32,
        /// Where it should be.
        offset: u64,
    },
    /// qemu takes the disk for smaller than it is and cuts off its end, because of its
    /// [creator](super::Creator::is_sized_by_geometry_in_qemu). Versions from 10 on do so only to a few.
    CutByQemu {
        /// How many bytes of the disk it does not show.
        bytes: u64,
    },
    /// blktap has hidden the disk: others are built on it.
    Hidden,
    /// A machine is saved with the disk: to change it would damage that.
    SavedState,
}

impl Finding {
    /// How bad it is.
    pub fn severity(&self) -> Severity {
        match self {
            Self::ShortFooter | Self::NoParentPath | Self::CutByQemu { .. } | Self::Hidden | Self::SavedState => {
                Severity::Note
            }
            Self::Footer(_)
            | Self::FooterCopy(_)
            | Self::FootersDiffer
            | Self::Batmap(_)
            | Self::PathOutside { .. } => Severity::Warning,
            Self::NoFooter
            | Self::Unusable { .. }
            | Self::CutOff { .. }
            | Self::BlockOutside { .. }
            | Self::BlockOverTables { .. }
            | Self::BlocksOverlap { .. }
            | Self::BatmapWrong { .. } => Severity::Damage,
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Footer(problem) => write!(f, "the footer is damaged: {problem}"),
            Self::FooterCopy(problem) => write!(f, "the footer's copy at the start is damaged: {problem}"),
            Self::NoFooter => f.write_str("neither end of the file holds a footer that can be used"),
            Self::FootersDiffer => f.write_str("the footer and its copy at the start say different things"),
            Self::ShortFooter => f.write_str("the footer has 511 bytes, as old programs wrote it"),
            Self::Unusable { part, offset, problem } => write!(f, "the {part} at byte {offset} is damaged: {problem}"),
            Self::CutOff { there, needed } => write!(f, "the file holds {there} bytes of the disk's {needed}"),
            Self::BlockOutside { block, offset, end } => {
                write!(
                    f,
                    "block {block} at byte {offset} reaches behind byte {end}, where it must end"
                )
            }
            Self::BlockOverTables { block, offset } => {
                write!(f, "block {block} at byte {offset} lies over the file's tables")
            }
            Self::BlocksOverlap { first, second, offset } => {
                write!(f, "block {second} at byte {offset} lies over block {first}")
            }
            Self::Batmap(problem) => write!(f, "the batmap is damaged: {problem}"),
            Self::BatmapWrong { block } => {
                write!(f, "the batmap says that all of block {block} is there, and it is not")
            }
            Self::NoParentPath => f.write_str("the file does not say where its parent is"),
            Self::PathOutside { locator, offset } => {
                write!(
                    f,
                    "the path of locator {locator} should be at byte {offset}, behind the file's end"
                )
            }
            Self::CutByQemu { bytes } => write!(
                f,
                "some versions of qemu do not show the last {bytes} bytes of the disk, unless told force_size_calc=current_size"
            ),
            Self::Hidden => f.write_str("the disk is hidden: others are built on it"),
            Self::SavedState => f.write_str("a machine is saved with this disk"),
        }
    }
}

/// Looks at everything in a VHD but the data itself.
///
/// The bitmaps of blocks are read where the batmap says something about them.
///
/// ```
/// use vhd_mbr::vhd::{Finding, Severity, Writer, check};
///
/// let mut file = Vec::new();
/// Writer::dynamic(vec![1; 3 << 20]).plan()?.write_to(&mut file)?;
/// assert_eq!(check(&file)?.severity(), None);
///
/// file.truncate(file.len() - 1000);
/// let report = check(&file)?;
/// assert_eq!(report.severity(), Some(Severity::Damage));
/// assert!(matches!(report.findings[1], Finding::BlockOutside { block: 1, .. }));
/// # Ok::<(), vhd_mbr::vhd::Error>(())
/// ```
///
/// # Errors
/// Where the source cannot be read. Whatever is wrong with its bytes is in the report.
pub fn check(source: &(impl ReadAt + ?Sized)) -> Result<Report, Error> {
    let source = &source;
    let mut report = Report::default();
    let size = size_of(source)?;
    let end = tables::end_footer(source, size)?;
    let start = tables::start_footer(source, size)?;
    let footer = match (&end, &start) {
        (Ok((footer, _)), _) => footer,
        (Err(Problem::Disabled), _) | (_, Err(_)) => {
            report.findings.extend(end.err().map(Finding::Footer));
            report.findings.extend(start.err().map(Finding::FooterCopy));
            report.add(Finding::NoFooter);
            return Ok(report);
        }
        (Err(problem), Ok(footer)) => {
            report.add(Finding::Footer(*problem));
            footer
        }
    };
    if footer.kind != Kind::Fixed {
        match (&start, &end) {
            (Err(problem), _) => report.add(Finding::FooterCopy(*problem)),
            (Ok(start), Ok((end, _))) if start != end => report.add(Finding::FootersDiffer),
            _ => {}
        }
    }
    // Where the blocks must end.
    let limit = end.as_ref().map_or(size, |&(_, offset)| offset);
    if end.is_ok() && size - limit != Footer::LEN as u64 {
        report.add(Finding::ShortFooter);
    }
    check_footer(footer, &mut report);
    if footer.kind == Kind::Fixed {
        let (there, needed) = (limit, footer.current_size);
        if there < needed {
            report.add(Finding::CutOff { there, needed });
        }
        return Ok(report);
    }
    match Blocks::read(source, footer) {
        Ok(blocks) => {
            check_paths(&blocks.header, footer, size, &mut report);
            check_blocks(&blocks, footer, limit, &mut report);
            check_batmap(source, &mut report)?;
        }
        Err(Error::Damaged { part, offset, problem }) => report.add(Finding::Unusable { part, offset, problem }),
        Err(error) => return Err(error),
    }
    Ok(report)
}

fn check_footer(footer: &Footer, report: &mut Report) {
    let told = footer.geometry.disk_size();
    if footer.creator.is_sized_by_geometry_in_qemu() && told < footer.current_size {
        report.add(Finding::CutByQemu {
            bytes: footer.current_size - told,
        });
    }
    if footer.hidden {
        report.add(Finding::Hidden);
    }
    if footer.saved_state {
        report.add(Finding::SavedState);
    }
}

fn check_paths(header: &Header, footer: &Footer, size: u64, report: &mut Report) {
    if footer.kind != Kind::Differencing {
        return;
    }
    let used = |platform| platform != Platform::NONE;
    for (number, locator) in (0..)
        .zip(&header.locators)
        .filter(|(_, locator)| used(locator.platform))
    {
        if !within(size, locator.offset, locator.len.into()) {
            report.add(Finding::PathOutside {
                locator: number,
                offset: locator.offset,
            });
        }
    }
    if header.parent_name.is_empty() && !header.locators.iter().any(|locator| used(locator.platform)) {
        report.add(Finding::NoParentPath);
    }
}

fn check_blocks(blocks: &Blocks, footer: &Footer, limit: u64, report: &mut Report) {
    let tables = table_ranges(blocks, footer);
    let placed = (0..blocks.table.len() as u32).filter_map(|block| Some((blocks.offset(block)?, block)));
    let mut placed: Vec<_> = placed.collect();
    placed.sort_unstable();
    // The block that reaches furthest so far.
    let mut before: Option<(u64, u32)> = None;
    for (offset, block) in placed {
        let end = offset + blocks.block_len();
        if end > limit {
            report.add(Finding::BlockOutside {
                block,
                offset,
                end: limit,
            });
        }
        if tables.iter().any(|table| table.start < end && offset < table.end) {
            report.add(Finding::BlockOverTables { block, offset });
        }
        match before {
            Some((before_end, first)) if offset < before_end => report.add(Finding::BlocksOverlap {
                first,
                second: block,
                offset,
            }),
            _ => {}
        }
        before = Some((end, block));
    }
}

/// The first block that lies over another one or over the tables; writing to it would change more than the disk there.
pub(super) fn misplaced(blocks: &Blocks, footer: &Footer) -> Option<(u32, u64)> {
    let mut report = Report::default();
    check_blocks(blocks, footer, u64::MAX, &mut report);
    report.findings.into_iter().find_map(|finding| match finding {
        Finding::BlockOverTables { block, offset } => Some((block, offset)),
        Finding::BlocksOverlap { second, offset, .. } => Some((second, offset)),
        _ => None,
    })
}

/// What no block may lie over.
fn table_ranges(blocks: &Blocks, footer: &Footer) -> Vec<Range<u64>> {
    let header = footer.data_offset..footer.data_offset.saturating_add(Header::LEN as u64);
    let table = &blocks.header.table_offset;
    // Entries beyond the disk's blocks are of no use to anybody.
    let table = *table..table.saturating_add(blocks.table.len() as u64 * 4);
    let mut ranges = vec![0..Footer::LEN as u64, header, table];
    if let Some(batmap) = &blocks.batmap {
        ranges.push(batmap.header_offset..batmap.header_offset + 512);
        ranges.push(batmap.offset..batmap.end());
    }
    let used = blocks.header.locators.iter();
    let used = used.filter(|locator| locator.platform != Platform::NONE);
    ranges.extend(used.map(|locator| locator.offset..locator.offset.saturating_add(locator.len.into())));
    ranges
}

fn check_batmap(source: &impl ReadAt, report: &mut Report) -> Result<(), Error> {
    let vhd: Vhd<_, NoParent> = Vhd::open(source)?;
    let Some(blocks) = &vhd.blocks else {
        return Ok(());
    };
    if let Some(problem) = blocks.batmap_problem {
        report.add(Finding::Batmap(problem));
    }
    let Some(batmap) = &blocks.batmap else {
        return Ok(());
    };
    let sectors = u64::from(blocks.header.block_size) / 512;
    let marked = (0..blocks.table.len() as u32).filter(|&block| batmap.is_full(block));
    for block in marked {
        let is_full = blocks.offset(block).is_some()
            && match vhd.read_bitmap(blocks, block) {
                Ok(bitmap) => bitmap.summary(sectors).0,
                Err(Error::BlockOutside { .. }) => continue,
                Err(error) => return Err(error),
            };
        if !is_full {
            report.add(Finding::BatmapWrong { block });
        }
    }
    Ok(())
}
