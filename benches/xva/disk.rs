//! A disk as machines have them: an ext4 file system with programs, libraries and texts in it.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the files come from, and how many quarters of them.
const SOURCES: [(&str, u64); 3] = [("/usr/bin", 1), ("/usr/lib", 2), ("/usr/share", 1)];

/// Makes the image of a disk of `size` bytes, with `content` bytes in files of this machine.
pub(crate) fn make(folder: &Path, content: u64, size: u64) -> io::Result<PathBuf> {
    let staging = folder.join("files");
    for (source, quarters) in SOURCES {
        let mut left = content / 4 * quarters;
        copy_some(Path::new(source), &staging.join(&source[1..]), left / 8, &mut left)?;
    }
    let image = folder.join(format!("{size}.raw"));
    File::create(&image)?.set_len(size)?;
    let status = Command::new("mke2fs")
        .args(["-q", "-F", "-t", "ext4", "-d"])
        .args([&staging, &image])
        .env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin")
        .status()
        .map_err(|error| {
            io::Error::new(
                error.kind(),
                format!("cannot run mke2fs of Debian's e2fsprogs: {error}"),
            )
        })?;
    if !status.success() {
        return Err(io::Error::other(format!("mke2fs failed: {status}")));
    }
    fs::remove_dir_all(&staging)?;
    Ok(image)
}

/// Copies files no longer than `longest` in the order of their names, until one does not fit in what is `left`; tells
/// whether that came.
fn copy_some(from: &Path, to: &Path, longest: u64, left: &mut u64) -> io::Result<bool> {
    fs::create_dir_all(to)?;
    let mut entries: Vec<_> = fs::read_dir(from)?.collect::<Result<_, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (kind, target) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_dir() {
            if copy_some(&entry.path(), &target, longest, left)? {
                return Ok(true);
            }
        } else if kind.is_file() {
            let length = entry.metadata()?.len();
            if length > longest {
                continue;
            }
            if length > *left {
                return Ok(true);
            }
            // Some files are for root alone.
            if fs::copy(entry.path(), target).is_ok() {
                *left -= length;
            }
        }
    }
    Ok(false)
}
