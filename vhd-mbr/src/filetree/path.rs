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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Directory,
    Symlink,
    Other,
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

/// The regular file that `path` leads to. Symbolic links are followed, those to absolute paths from the root.
pub(crate) fn find_file<T: Tree>(tree: &T, path: &[u8]) -> Result<T::Node, T::Error> {
    let text = || String::from_utf8_lossy(path).into_owned();
    let mut links = 0;
    let mut way = vec![tree.root()?];
    let mut ahead = names(path);
    while let Some(name) = ahead.pop() {
        if name == b".." {
            if way.len() > 1 {
                way.pop();
            }
            continue;
        }
        let quoted = || String::from_utf8_lossy(&name).into_owned();
        let Some(directory) = way.last() else { break };
        let Some(node) = tree.child(directory, &name)? else {
            let (path, name) = (text(), quoted());
            return Err(PathError::NotFound { path, name }.into());
        };
        match tree.kind(&node) {
            Kind::Directory => way.push(node),
            Kind::Symlink => {
                links += 1;
                if links > MAX_LINKS {
                    return Err(PathError::TooManyLinks { path: text() }.into());
                }
                let target = tree.target(&node)?;
                if target.starts_with(b"/") {
                    way.truncate(1);
                }
                ahead.extend(names(&target));
            }
            Kind::File if ahead.is_empty() => return Ok(node),
            Kind::Other if ahead.is_empty() => break,
            Kind::File | Kind::Other => {
                let (path, name) = (text(), quoted());
                return Err(PathError::NotADirectory { path, name }.into());
            }
        }
    }
    Err(PathError::NotAFile { path: text() }.into())
}

/// The names of a path, the last one first.
fn names(path: &[u8]) -> Vec<Vec<u8>> {
    path.split(|&byte| byte == b'/')
        .filter(|name| !name.is_empty() && *name != b".")
        .map(<[u8]>::to_vec)
        .rev()
        .collect()
}
