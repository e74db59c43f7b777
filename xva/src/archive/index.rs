//! What is known of an archive, to keep.

use std::fmt;
use std::str::FromStr;

use super::map::Map;
use super::run::Run;

/// Where the disks of an archive lie: text, to write to a file beside the archive and to read back the next time.
///
/// It grows with the number of interruptions and with what was read, not with the length of the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    archive_size: u64,
    disks: Vec<Disk>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Disk {
    id: String,
    frontier: u64,
    runs: Vec<Run>,
}

/// A text that is no index.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the index makes no sense; delete the index, so that it is made anew")]
pub struct IndexError {
    /// The line, counted from 1.
    pub line: usize,
}

/// The first word of an index, with the version of its form.
const HEAD: &str = "xva-index-1";

impl Index {
    pub(super) fn new(archive_size: u64, maps: Vec<Map>) -> Self {
        let disk = |map: Map| Disk {
            id: map.id,
            frontier: map.frontier,
            runs: map.runs,
        };
        Self {
            archive_size,
            disks: maps.into_iter().map(disk).collect(),
        }
    }

    /// The length in bytes of the archive that it is of.
    pub fn archive_size(&self) -> u64 {
        self.archive_size
    }

    pub(super) fn maps(&self, virtual_size: impl Fn(&str) -> Option<u64>) -> Vec<Map> {
        let map = |disk: &Disk| Map::known(&disk.id, virtual_size(&disk.id), disk.runs.clone(), disk.frontier);
        self.disks.iter().map(map).collect()
    }
}

impl fmt::Display for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEAD} {}", self.archive_size)?;
        for disk in &self.disks {
            writeln!(f, "disk {} {}", disk.frontier, disk.id)?;
            for run in &disk.runs {
                let Run {
                    position,
                    stride,
                    head,
                    offset,
                    unit,
                    number,
                    ..
                } = run;
                write!(f, "run {position} {stride} {head} {offset} {unit} {number}")?;
                for (entry, number) in run.marks().iter().skip(1) {
                    write!(f, " {entry}:{number}")?;
                }
                writeln!(f)?;
            }
        }
        Ok(())
    }
}

impl FromStr for Index {
    type Err = IndexError;

    fn from_str(text: &str) -> Result<Self, IndexError> {
        let mut lines = (1..).zip(text.lines());
        let first = lines.next().and_then(|(_, line)| line.strip_prefix(HEAD));
        let archive_size = first.and_then(|size| size.trim().parse().ok());
        let mut index = Self {
            archive_size: archive_size.ok_or(IndexError { line: 1 })?,
            disks: Vec::new(),
        };
        for (line, text) in lines {
            index.line(text).ok_or(IndexError { line })?;
        }
        Ok(index)
    }
}

impl Index {
    fn line(&mut self, line: &str) -> Option<()> {
        let (kind, rest) = line.split_once(' ')?;
        match kind {
            "disk" => {
                let (frontier, id) = rest.split_once(' ')?;
                self.disks.push(Disk {
                    id: id.to_owned(),
                    frontier: frontier.parse().ok()?,
                    runs: Vec::new(),
                });
            }
            "run" => {
                let run = run(rest, self.archive_size)?;
                let runs = &mut self.disks.last_mut()?.runs;
                if runs.last().is_some_and(|last| last.end() > run.offset) {
                    return None;
                }
                runs.push(run);
            }
            _ => return None,
        }
        Some(())
    }
}

/// A run that lies inside of an archive of this length, and whose arithmetic holds.
fn run(text: &str, archive_size: u64) -> Option<Run> {
    let mut words = text.split(' ');
    let mut number = || words.next()?.parse::<u64>().ok();
    let (position, stride, head) = (number()?, number()?, number()?);
    let (offset, unit, first) = (number()?, number()?, number()?);
    // A block that was cut off reaches beyond the archive's end.
    position.checked_add(stride)?;
    if unit == 0 || head.checked_add(unit)? > stride || position >= archive_size {
        return None;
    }
    let mut run = Run::new(position, stride, head, offset, unit, first);
    for word in words {
        let (entry, number) = word.split_once(':')?;
        let (entry, number) = (entry.parse().ok()?, number.parse::<u64>().ok()?);
        offset.checked_add(number.checked_add(1)?.checked_mul(unit)?)?;
        first.checked_add(number)?;
        if run.entry_at(entry)? >= archive_size || !run.mark(entry, number) {
            return None;
        }
    }
    offset.checked_add(unit)?;
    Some(run)
}
