use super::{Kind, Stat};
use crate::layout::{Layout, Obstacle};

/// Symbolic links followed on one path, as in Linux.
const MAX_LINKS: u32 = 40;

/// Why a path leads to no file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// One of its names is not in its directory.
    #[error("{path}: there is no {name:?}")]
    NotFound {
        /// The path.
        path: String,
        /// The name that was looked for; it may stand in a symbolic link.
        name: String,
    },
    /// It goes on behind a name that is not a directory's.
    #[error("{path}: {name:?} is not a directory")]
    NotADirectory {
        /// The path.
        path: String,
        /// The name that is not a directory's.
        name: String,
    },
    /// It leads to a directory, a device or the like.
    #[error("{path}: it is not a regular file")]
    NotAFile {
        /// The path.
        path: String,
    },
    /// It leads through more than 40 symbolic links.
    #[error("{path}: too many symbolic links")]
    TooManyLinks {
        /// The path.
        path: String,
    },
}

impl PathError {
    pub(crate) fn not_a_file(path: &[u8]) -> Self {
        Self::NotAFile {
            path: String::from_utf8_lossy(path).into_owned(),
        }
    }

    pub(crate) fn is_no_directory(path: &[u8]) -> Self {
        let path = String::from_utf8_lossy(path).into_owned();
        let name = path.rsplit('/').next().unwrap_or_default().to_owned();
        Self::NotADirectory { path, name }
    }
}

/// A tree of directories.
pub(crate) trait Tree {
    type Node;
    type Error: From<PathError>;

    fn root(&self) -> Result<Self::Node, Self::Error>;
    fn kind(&self, node: &Self::Node) -> Kind;
    fn child(&self, directory: &Self::Node, name: &[u8]) -> Result<Option<Self::Node>, Self::Error>;
    /// Where a symbolic link leads to.
    fn target(&self, link: &Self::Node) -> Result<Vec<u8>, Self::Error>;
}

/// A tree whose directories can be listed.
pub(crate) trait List: Tree {
    /// What a directory keeps of a file.
    type Link;
    /// How far a directory has been read.
    type Reading;

    fn read_dir(&self, directory: &Self::Node) -> Result<Self::Reading, Self::Error>;
    /// The next names, as many as are read at once; none at the end.
    fn next_names(&self, reading: &mut Self::Reading) -> Result<Option<Names<Self::Link>>, Self::Error>;
    fn node(&self, link: Self::Link) -> Result<Self::Node, Self::Error>;
    fn stat(&self, node: &Self::Node) -> Result<Stat, Self::Error>;
    /// Where the content of a regular file is, without what speaks against changing it there.
    fn extents(&self, file: &Self::Node) -> Result<Layout, Self::Error>;
    /// What speaks against that.
    fn obstacles(&self, file: &Self::Node) -> Result<Vec<Obstacle>, Self::Error>;

    fn layout(&self, file: &Self::Node) -> Result<Layout, Self::Error> {
        let mut layout = self.extents(file)?;
        layout.obstacles = self.obstacles(file)?;
        Ok(layout)
    }

    /// Where a symbolic link leads to, to be shown.
    fn shown_target(&self, link: &Self::Node) -> Result<String, Self::Error> {
        let target = self.target(link)?;
        Ok(String::from_utf8_lossy(&target).into_owned())
    }
}

/// A name in a directory, and where it leads to.
pub(crate) struct Named<L> {
    pub(crate) name: Vec<u8>,
    pub(crate) link: L,
}

/// Several of them.
pub(crate) type Names<L> = Vec<Named<L>>;

/// What to do with a symbolic link at the end of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LastLink {
    Follow,
    Keep,
}

/// The regular file that `path` leads to. Symbolic links are followed, those to absolute paths from the root.
pub(crate) fn find_file<T: Tree>(tree: &T, path: &[u8]) -> Result<T::Node, T::Error> {
    let node = find(tree, path, LastLink::Follow)?;
    match tree.kind(&node) {
        Kind::File => Ok(node),
        _ => Err(PathError::not_a_file(path).into()),
    }
}

/// What `path` leads to.
pub(crate) fn find<T: Tree>(tree: &T, path: &[u8], last: LastLink) -> Result<T::Node, T::Error> {
    let text = || String::from_utf8_lossy(path).into_owned();
    let mut links = 0;
    let root = tree.root()?;
    let mut way = Vec::new();
    let mut ahead = names(path);
    while let Some(name) = ahead.pop() {
        if name == b".." {
            way.pop();
            continue;
        }
        let quoted = || String::from_utf8_lossy(&name).into_owned();
        let Some(node) = tree.child(way.last().unwrap_or(&root), &name)? else {
            let (path, name) = (text(), quoted());
            return Err(PathError::NotFound { path, name }.into());
        };
        match tree.kind(&node) {
            Kind::Directory => way.push(node),
            Kind::Symlink if !ahead.is_empty() || last == LastLink::Follow => {
                links += 1;
                if links > MAX_LINKS {
                    return Err(PathError::TooManyLinks { path: text() }.into());
                }
                let target = tree.target(&node)?;
                if target.starts_with(b"/") {
                    way.clear();
                }
                ahead.extend(names(&target));
            }
            _ if ahead.is_empty() => return Ok(node),
            _ => {
                let (path, name) = (text(), quoted());
                return Err(PathError::NotADirectory { path, name }.into());
            }
        }
    }
    Ok(way.pop().unwrap_or(root))
}

/// The names of a path, the last one first.
fn names(path: &[u8]) -> Vec<Vec<u8>> {
    path.split(|&byte| byte == b'/')
        .filter(|name| !name.is_empty() && *name != b".")
        .map(<[u8]>::to_vec)
        .rev()
        .collect()
}
