use xen_disk::ReadAt;

use super::Error;
use super::file::File;
use super::name::Name;
use super::reparse::Reparse;
use super::volume::Ntfs;

impl<D: ReadAt> Ntfs<D> {
    /// The file at `path`, from the root down, its names separated by `/` or `\`.
    ///
    /// As in Windows, upper and lower case are the same unless two names differ in nothing else, short names count as
    /// well as long ones, and `.` and `..` mean what they mean. Unlike there, reparse points on the way are not followed;
    /// at its end stands the reparse point itself. A name that has a slash in it can be found with [`File::child`].
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::NotADirectory`] and [`Error::ThroughReparsePoint`] with the path up to where it went
    /// wrong; others where the volume cannot be read.
    pub fn lookup(&self, path: &str) -> Result<File<'_, D>, Error> {
        let mut way = Vec::new();
        for name in path.split(['/', '\\']).filter(|name| !matches!(*name, "" | ".")) {
            if name == ".." {
                way.pop();
            } else {
                way.push(name);
            }
        }
        let mut file = self.root()?;
        for (depth, name) in way.iter().enumerate() {
            let so_far = |depth| format!("/{}", way[..depth].join("/"));
            if !file.is_directory() {
                return Err(blocked(&file, so_far(depth))?);
            }
            let child = file.child(&Name::from(*name))?;
            let Some(child) = child else {
                let missing = Error::NotFound {
                    path: so_far(depth + 1),
                };
                return Err(match file.reparse()? {
                    Some(reparse) => through(so_far(depth), &reparse),
                    None => missing,
                });
            };
            file = self.file(child)?;
        }
        Ok(file)
    }
}

/// Why there is no way through something that is no directory.
fn blocked<D: ReadAt>(file: &File<'_, D>, path: String) -> Result<Error, Error> {
    Ok(match file.reparse()? {
        Some(reparse) => through(path, &reparse),
        None => Error::NotADirectory { path },
    })
}

fn through(path: String, reparse: &Reparse) -> Error {
    Error::ThroughReparsePoint {
        path,
        tag: reparse.tag(),
        target: reparse.target().map(str::to_owned),
    }
}
