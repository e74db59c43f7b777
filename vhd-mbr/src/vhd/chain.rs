use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileTypeExt;
use std::path::{Component, Path, PathBuf};

use xen_disk::ReadAt;

use super::{Error, Kind, Vhd};
use crate::Guid;

/// More than XenServer, which stops at 30, or any backup program lets a chain grow.
const MAX_DEPTH: usize = 128;

type Below = Box<dyn ReadAt + Send + Sync>;

/// A VHD file with its parents, found where the files say they are.
///
/// ```
/// use std::fs::File;
/// use vhd_mbr::vhd::{Chain, Parent, Vhd, Writer};
/// use vhd_mbr::xen_disk::ReadAt;
///
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path();
/// let mut disk = vec![1; 4 << 20];
/// Writer::dynamic(&disk).plan()?.write_to(&mut File::create(folder.join("base.vhd"))?)?;
/// let base = Vhd::open(File::open(folder.join("base.vhd"))?)?;
///
/// disk[512..1024].fill(2);
/// let parent = Parent::vhd(base.footer()).path("base.vhd");
/// let child = Writer::differencing(&disk, parent, [512..1024]).plan()?;
/// child.write_to(&mut File::create(folder.join("child.vhd"))?)?;
///
/// let chain = Chain::open(folder.join("child.vhd"))?;
/// assert_eq!(chain.files().len(), 2);
/// let mut bytes = [0; 1024];
/// chain.read_exact_at(0, &mut bytes)?;
/// assert_eq!(bytes, disk[..1024]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Chain {
    top: Vhd<File, Below>,
    files: Vec<PathBuf>,
}

/// How the parents of a VHD file are looked for.
///
/// A file can name any path as its parent's. It is followed only within the folders that are searched, the child's own
/// first: the part of it that is relative to the child's folder, without going up, and its last component. Where a chain
/// spans folders, name them with [`search_in`](Self::search_in).
#[derive(Debug, Clone, Default)]
pub struct ChainOptions {
    folders: Vec<PathBuf>,
    ignore_ids: bool,
}

/// Why a chain cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// A file could not be opened.
    #[error("cannot open {}", .path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file of the chain is no VHD, or a damaged one.
    #[error("cannot read {} as a VHD", .path.display())]
    Vhd {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: Box<Error>,
    },
    /// A parent is nowhere to be found.
    #[error(
        "the parent {id} of {} was not found{}{}; name the folder in which it is", .child.display(), 
        match .named.is_empty() {
            true => ": the file does not say where it is".to_owned(),
            false => format!(" as {}", .named.join(" or ")),
        },
        match .rejected {
            Some((path, found)) => format!("; {} is not it, its id being {found}", path.display()),
            None => String::new(),
        }
    )]
    ParentNotFound {
        /// The file whose parent it is.
        child: PathBuf,
        /// The parent's id.
        id: Guid,
        /// The paths that the child names.
        named: Vec<String>,
        /// A file of the right name with another id.
        rejected: Option<(PathBuf, Guid)>,
    },
    /// A file is its own ancestor.
    #[error("{} is its own ancestor: the chain is a loop", .path.display())]
    Loop {
        /// The file.
        path: PathBuf,
    },
    /// A chain does not end.
    #[error("the chain has more than {MAX_DEPTH} files")]
    TooDeep,
}

impl ChainOptions {
    /// The usual way: parents are in the folders of their children, and have the ids that those name.
    pub fn new() -> Self {
        Self::default()
    }

    /// Looks for parents in this folder too.
    pub fn search_in(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folders.push(folder.into());
        self
    }

    /// Takes the first file at a named place, whatever its id. Needed for the exports of xapi, which name ids that no
    /// exported file has; whoever has named the files must then be right.
    pub fn ignore_ids(mut self) -> Self {
        self.ignore_ids = true;
        self
    }

    /// Opens a file and its parents.
    ///
    /// # Errors
    /// Where a file cannot be read, or a parent not be found.
    pub fn open(&self, path: impl AsRef<Path>) -> Result<Chain, ChainError> {
        let mut layers = Vec::new();
        let mut files: Vec<PathBuf> = Vec::new();
        let mut next = Some(Found::Vhd(path.as_ref().to_owned()));
        let mut base = None;
        while let Some(found) = next {
            if files.len() == MAX_DEPTH {
                return Err(ChainError::TooDeep);
            }
            let (path, raw) = match found {
                Found::Vhd(path) => (path, false),
                Found::Raw(path) => (path, true),
            };
            let file = open(&path)?;
            let known = canonical(&path);
            if files.iter().any(|file| canonical(file) == known) {
                return Err(ChainError::Loop { path });
            }
            if raw {
                files.push(path);
                base = Some(file);
                break;
            }
            let vhd = Vhd::open(file).map_err(|source| vhd_error(&path, source))?;
            next = self.find_parent(&path, &vhd)?;
            files.push(path);
            layers.push(vhd);
        }
        let base = base.map(|file| Box::new(file) as Below);
        let top = layers.pop().map(|vhd| vhd.with_optional_parent(base));
        let top = layers.into_iter().rev().fold(top, |below, vhd| {
            Some(vhd.with_optional_parent(below.map(|below| Box::new(below) as Below)))
        });
        // The first file was opened as a VHD, so there is one.
        top.map(|top| Chain { top, files }).ok_or(ChainError::TooDeep)
    }

    fn find_parent(&self, child: &Path, vhd: &Vhd<File>) -> Result<Option<Found>, ChainError> {
        if vhd.footer().kind != Kind::Differencing {
            return Ok(None);
        }
        let id = vhd.parent_id();
        let named = vhd.parent_paths().map_err(|source| vhd_error(child, source))?;
        let mut rejected = None;
        for path in self.candidates(child, &named) {
            if id.is_nil() {
                return Ok(Some(Found::Raw(path)));
            }
            if self.ignore_ids {
                return Ok(Some(Found::Vhd(path)));
            }
            match Vhd::open(open(&path)?) {
                Ok(parent) if parent.footer().id == id => return Ok(Some(Found::Vhd(path))),
                Ok(parent) => rejected = rejected.or(Some((path, parent.footer().id))),
                Err(source) => return Err(vhd_error(&path, source)),
            }
        }
        Err(ChainError::ParentNotFound {
            child: child.to_owned(),
            id,
            named,
            rejected,
        })
    }

    /// The files that a child's words for its parent can mean.
    fn candidates(&self, child: &Path, named: &[String]) -> Vec<PathBuf> {
        let own = child.parent().unwrap_or(Path::new(""));
        let folders = std::iter::once(own).chain(self.folders.iter().map(PathBuf::as_path));
        let mut found: Vec<PathBuf> = Vec::new();
        for folder in folders {
            for path in named.iter().flat_map(|name| inside(name)) {
                let path = folder.join(path);
                if is_readable(&path) && !found.contains(&path) {
                    found.push(path);
                }
            }
        }
        found
    }
}

enum Found {
    Vhd(PathBuf),
    /// A raw image, which is the end of the chain.
    Raw(PathBuf),
}

impl Chain {
    /// Opens a file and its parents, which are in the folders of their children and have the ids that those name.
    ///
    /// # Errors
    /// Where a file cannot be read, or a parent not be found.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, ChainError> {
        ChainOptions::new().open(path)
    }

    /// The files, the one that was opened first.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// The VHD that was opened.
    pub fn top(&self) -> &Vhd<File, Box<dyn ReadAt + Send + Sync>> {
        &self.top
    }
}

impl std::fmt::Debug for Chain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Chain")
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

impl ReadAt for Chain {
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.top.read_exact_at(offset, buf)
    }

    fn size(&self) -> io::Result<u64> {
        self.top.size()
    }

    fn next_data(&self, from: u64) -> io::Result<Option<Range<u64>>> {
        self.top.next_data(from)
    }
}

/// The relative paths that `name` can stand for: itself, without what is above, and its last component.
fn inside(name: &str) -> Vec<PathBuf> {
    let path = Path::new(name);
    let parts = || path.components().filter(|part| *part != Component::CurDir);
    let goes_down = parts().all(|part| matches!(part, Component::Normal(_)));
    let whole = goes_down.then(|| parts().collect::<PathBuf>());
    let last = path.file_name().map(PathBuf::from);
    whole.into_iter().chain(last).collect()
}

/// Whether there is something that is read like a file: no folder, and no pipe that would never answer.
fn is_readable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.is_file() || metadata.file_type().is_block_device())
}

fn canonical(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

fn open(path: &Path) -> Result<File, ChainError> {
    File::open(path).map_err(|source| ChainError::Open {
        path: path.to_owned(),
        source,
    })
}

fn vhd_error(path: &Path, source: Error) -> ChainError {
    ChainError::Vhd {
        path: path.to_owned(),
        source: Box::new(source),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_path_leads_out_of_its_folder() {
        let of = |name| {
            inside(name)
                .iter()
                .map(|path| path.display().to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(of("./base.vhd"), ["base.vhd", "base.vhd"]);
        assert_eq!(of("a/base.vhd"), ["a/base.vhd", "base.vhd"]);
        assert_eq!(of("/etc/shadow"), ["shadow"]);
        assert_eq!(of("../../etc/shadow"), ["shadow"]);
        assert_eq!(of("C:/disks/base.vhd"), ["C:/disks/base.vhd", "base.vhd"]);
        assert!(of("..").is_empty() && of("/").is_empty() && of("").iter().all(|path| path.is_empty()));
    }
}
