use std::collections::HashSet;
use std::fmt;

use xen_disk::ReadAt;

use super::Error;
use super::attributes::FileAttributes;
use super::file_name::{self, Namespace};
use super::index::{DEEPEST, Index, Node};
use super::name::Name;
use super::reference::FileReference;
use super::time::FileTime;
use super::volume::system;

/// What is in a directory, name by name in the directory's order.
///
/// Takes the memory of one way from the index's root down, however many names there are, and a number for every record
/// of the index that has been read.
pub struct ReadDir<'v, D> {
    index: Index<'v, D>,
    way: Vec<Step>,
    seen: HashSet<u64>,
    short_names: bool,
}

/// A node on the way down, and how far it has been read.
struct Step {
    node: Node,
    at: usize,
    /// Whether all below the entry here has been listed.
    below_done: bool,
}

/// A name in a directory, and what the directory keeps of the file.
///
/// Size and time are a copy that Windows brings up to date when the file is closed, and for one of several hard links
/// only; [`File::stat`](super::File::stat) knows better.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DirEntry {
    /// The name.
    pub name: Name,
    /// Who may use it.
    pub namespace: Namespace,
    /// The file, for [`Ntfs::file`](super::Ntfs::file).
    pub reference: FileReference,
    /// When its content changed last.
    pub modified: FileTime,
    /// The length of its content.
    pub size: u64,
    /// Read-only, hidden and so on.
    pub attributes: FileAttributes,
    /// The tag of its reparse point, where it is one.
    pub reparse_tag: Option<u32>,
}

impl DirEntry {
    /// Whether it is a directory.
    pub fn is_directory(&self) -> bool {
        self.attributes.contains(FileAttributes::DIRECTORY)
    }

    /// Whether it is one of the file system's own files, as `$MFT`, which Windows never shows.
    pub fn is_system_file(&self) -> bool {
        self.reference.record < system::FIRST_USER && self.reference.record != system::ROOT
    }
}

impl<'v, D: ReadAt> ReadDir<'v, D> {
    pub(super) fn new(index: Index<'v, D>) -> Self {
        let root = Step::new(index.root());
        Self {
            index,
            way: vec![root],
            seen: HashSet::new(),
            short_names: false,
        }
    }

    /// Lists the short names of files that have longer ones too.
    pub fn with_short_names(mut self) -> Self {
        self.short_names = true;
        self
    }

    /// Goes on by one entry: what to tell of it, if anything.
    fn step(&mut self) -> Option<Result<Option<DirEntry>, Error>> {
        let depth = self.way.len();
        let step = self.way.last_mut()?;
        let entry = match step.node.entry(step.at) {
            Ok(entry) => entry,
            Err(error) => {
                self.way.pop();
                return Some(Err(error));
            }
        };
        if let Some(below) = entry.below.filter(|_| !step.below_done) {
            step.below_done = true;
            if depth == DEEPEST || !self.seen.insert(below) {
                return Some(Err(step.node.damaged("a directory's index leads in a circle")));
            }
            return Some(self.index.node(below).map(|node| {
                self.way.push(Step::new(node));
                None
            }));
        }
        let Some(key) = entry.key else {
            self.way.pop();
            return Some(Ok(None));
        };
        let told = file_name::parse(key).map_err(|what| step.node.damaged(what));
        let reference = entry.reference;
        step.at = entry.next;
        step.below_done = false;
        Some(told.map(|(name, copy)| {
            let is_self = reference.record == self.index.directory.record;
            let shown = !is_self && (self.short_names || name.namespace != Namespace::Dos);
            shown.then(|| DirEntry {
                name: name.name,
                namespace: name.namespace,
                reference,
                modified: copy.modified,
                size: copy.size,
                attributes: copy.attributes,
                reparse_tag: copy
                    .attributes
                    .contains(FileAttributes::REPARSE_POINT)
                    .then_some(copy.tag),
            })
        }))
    }
}

impl Step {
    fn new(node: Node) -> Self {
        Self {
            at: node.start(),
            node,
            below_done: false,
        }
    }
}

impl<D: ReadAt> Iterator for ReadDir<'_, D> {
    type Item = Result<DirEntry, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(told) = self.step()?.transpose() {
                return Some(told);
            }
        }
    }
}

impl<D> fmt::Debug for ReadDir<'_, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadDir")
            .field("depth", &self.way.len())
            .finish_non_exhaustive()
    }
}
