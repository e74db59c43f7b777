use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::Receiver;

use serial_link_protocol::blocking::Channel;
use serial_link_protocol::{Agent, Checksum, Digest, FailureKind, Port, Put, Reply};

use crate::failure::{failed, refused};

const PIECE: usize = 64 << 10;

/// Receives a file from the host. Without a reply, nobody wants one.
pub(crate) fn run(channel: &Channel<Agent>, put: &Put, digests: &Receiver<Digest>) -> Option<Reply> {
    let path = Path::new(&put.path);
    let Some(part) = part_of(path) else {
        return Some(refused(
            FailureKind::Invalid,
            format!("{} is no absolute path of a file", put.path),
        ));
    };
    let received = receive(channel, put, path, &part, digests).unwrap_or_else(|error| {
        let reply = failed(format_args!("cannot write {}", put.path), &error);
        if matches!(&reply, Reply::Failed(failure) if failure.kind == FailureKind::NoSpace) {
            // A disk that stays full would harm more than a transfer from the start. That failed already, so no more is said.
            let _ = fs::remove_file(&part);
        }
        Some(reply)
    });
    if !matches!(received, Some(Reply::Written { .. })) {
        channel.stop(Port::Input);
    }
    received
}

/// The name under which a file waits until it is whole.
fn part_of(path: &Path) -> Option<PathBuf> {
    let mut name = OsString::from(".");
    name.push(path.file_name().filter(|_| path.is_absolute())?);
    name.push(".serial-part");
    Some(path.with_file_name(name))
}

fn receive(
    channel: &Channel<Agent>,
    put: &Put,
    path: &Path,
    part: &Path,
    digests: &Receiver<Digest>,
) -> io::Result<Option<Reply>> {
    if path.is_dir() {
        return Ok(Some(refused(FailureKind::Invalid, format!("{} is a folder", put.path))));
    }
    let (mut file, mut size, mut checksum) = open(part, put)?;
    if channel.reply(&Reply::Writing { offset: size }).is_err() {
        return Ok(None);
    }
    loop {
        match channel.read(Port::Input, PIECE) {
            Err(_) => return Ok(None),
            Ok(None) => break,
            Ok(Some(bytes)) => {
                size += bytes.len() as u64;
                if size > put.size {
                    let message = format!("more than the {} bytes came that {} should have", put.size, put.path);
                    return Ok(Some(refused(FailureKind::Invalid, message)));
                }
                checksum.update(&bytes);
                file.write_all(&bytes)?;
            }
        }
    }
    // Without one, the session is over or the host has cancelled.
    let Ok(expected) = digests.recv() else { return Ok(None) };
    if size != put.size || checksum.finish() != expected {
        drop(file);
        fs::remove_file(part)?;
        let message = format!(
            "what arrived for {} is not what was sent; nothing was changed",
            put.path
        );
        return Ok(Some(refused(FailureKind::Checksum, message)));
    }
    permit(&file, put.mode.unwrap_or(0o600))?;
    file.sync_all()?;
    drop(file);
    fs::rename(part, path)?;
    persist_name(path)?;
    Ok(Some(Reply::Written { size }))
}

/// Opens the file that is not whole yet, with what is in it if that is wanted.
fn open(part: &Path, put: &Put) -> io::Result<(File, u64, Checksum)> {
    let mut checksum = Checksum::new();
    if put.resume && fs::symlink_metadata(part).is_ok_and(|metadata| metadata.is_file() && metadata.len() <= put.size) {
        let mut file = OpenOptions::new().read(true).write(true).open(part)?;
        let mut piece = vec![0; PIECE];
        let mut size = 0;
        while let count @ 1.. = file.read(&mut piece)? {
            checksum.update(&piece[..count]);
            size += count as u64;
        }
        file.seek(SeekFrom::Start(size))?;
        return Ok((file, size, checksum));
    }
    match fs::remove_file(part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    // Not through a link that somebody has put there.
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    Ok((options.open(part)?, 0, checksum))
}

#[cfg(unix)]
fn permit(file: &File, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(fs::Permissions::from_mode(mode & 0o7777))
}

#[cfg(windows)]
fn permit(_: &File, _: u32) -> io::Result<()> {
    Ok(())
}

/// A name is on disk when its folder is.
#[cfg(unix)]
fn persist_name(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(windows)]
fn persist_name(_: &Path) -> io::Result<()> {
    Ok(())
}
