//! Files with other content.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use clap::Args;
use vhd_mbr::patch::{Change, Padding, WritePlan, put_on_fat};
use vhd_mbr::volume::ContentKind;
use vhd_mbr::xen_disk::ReadAt;
use xenapi_examples::{FoundVolume, Printable, WhichVolume, note};

/// Where the file is that is changed, and what is accepted of its volume.
#[derive(Args, Clone)]
pub(crate) struct Where {
    #[command(flatten)]
    pub(crate) volume: WhichVolume,
    /// Change files on an NTFS volume also where Windows was stopped without shutting it down: its next start may check
    /// the volume, and write what its log says over the change
    #[arg(long, global = true)]
    accept_unclean: bool,
}

#[derive(Args, Clone)]
pub(crate) struct Put {
    /// The file, such as /etc/fstab or \Windows\win.ini
    #[arg(value_name = "PATH")]
    path: String,
    /// The new content, not longer than the old, except on FAT; what is left becomes line ends
    #[arg(long, value_name = "FILE", required_unless_present = "replace")]
    from: Option<PathBuf>,
    /// Replace this text wherever it stands …
    #[arg(long, value_name = "TEXT", conflicts_with = "from", requires = "with")]
    replace: Option<String>,
    /// … with this one, which must not be longer; what is left becomes spaces
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    with: Option<String>,
}

/// The most that a file may have to be changed: it is held in memory.
pub(crate) const LONGEST: u64 = 64 << 20;

impl Put {
    pub(crate) fn plan(&self, disk: &dyn ReadAt, which: &Where) -> anyhow::Result<WritePlan> {
        let found = FoundVolume::open(disk, &which.volume, Some(&self.path))?;
        if let (Some(from), ContentKind::Fat12 | ContentKind::Fat16 | ContentKind::Fat32) =
            (&self.from, found.volume.kind())
        {
            // Here a file may become longer, too.
            let on_disk = found.on_disk()?;
            let ranges = on_disk.ranges(0..on_disk.size()).unwrap_or_default();
            let [place] = &ranges[..] else {
                bail!("the volume is in several pieces on the disk");
            };
            return Ok(put_on_fat(disk, place.clone(), &self.path, &read(from)?)?);
        }
        change_content(&found, disk, which, &self.path, |old| self.changes(old))
    }

    fn changes(&self, old: &[u8]) -> anyhow::Result<Vec<Change>> {
        if let Some(from) = &self.from {
            return Ok(vec![Change::replace(read(from)?, Padding::Newlines)]);
        }
        let (Some(from), Some(to)) = (&self.replace, &self.with) else {
            bail!("say --from FILE, or --replace TEXT --with TEXT");
        };
        ensure!(
            to.len() <= from.len() && !from.is_empty(),
            "{to:?} is longer than {from:?}, and nothing can move"
        );
        let mut padded = to.clone().into_bytes();
        padded.resize(from.len(), b' ');
        let mut changes = Vec::new();
        let mut at = 0;
        while let Some(found) = find(&old[at..], from.as_bytes()) {
            changes.push(Change::write((at + found) as u64, padded.clone()).expecting(from.as_bytes()));
            at += found + from.len();
        }
        ensure!(!changes.is_empty(), "the file does not contain {from:?}");
        Ok(changes)
    }
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}

/// Plans the changes of a file that are made out of its content.
pub(crate) fn change_content(
    found: &FoundVolume<'_>,
    disk: &dyn ReadAt,
    which: &Where,
    path: &str,
    changes: impl FnOnce(&[u8]) -> anyhow::Result<Vec<Change>>,
) -> anyhow::Result<WritePlan> {
    let content = found.volume.content(path)?;
    ensure!(
        content.len() <= LONGEST,
        "{} is too long to be changed",
        Printable(path)
    );
    let mut old = Vec::new();
    content.copy_to(&mut old)?;
    change(found, disk, which, path, &changes(&old)?)
}

/// Plans changes of a file.
pub(crate) fn change(
    found: &FoundVolume<'_>,
    disk: &dyn ReadAt,
    which: &Where,
    path: &str,
    changes: &[Change],
) -> anyhow::Result<WritePlan> {
    let mut layout = found.volume.layout(path)?;
    if which.accept_unclean {
        layout.obstacles.retain(|obstacle| !obstacle.is_risk());
    } else if layout.obstacles.iter().all(|obstacle| obstacle.is_risk()) && !layout.obstacles.is_empty() {
        note("--accept-unclean changes it all the same: start Windows and shut it down, or know what you do.");
    }
    Ok(WritePlan::for_file(disk, found.on_disk()?, &layout, changes)?)
}
