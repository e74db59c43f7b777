use std::fs::{File, Metadata};
use std::io::{self, Read, Seek, SeekFrom};
use std::time::UNIX_EPOCH;

use serial_link_protocol::blocking::Channel;
use serial_link_protocol::{Agent, Checksum, FailureKind, FileFacts, Port, Reply};

use crate::failure::{failed, refused};

const PIECE: usize = 64 << 10;

/// Sends a file to the host. Without a reply, nobody wants one.
pub(crate) fn run(channel: &Channel<Agent>, path: &str, offset: u64) -> Option<Reply> {
    match send(channel, path, offset) {
        Ok(last) => last,
        Err(error) => Some(failed(format_args!("cannot read {path}"), &error)),
    }
}

fn send(channel: &Channel<Agent>, path: &str, offset: u64) -> io::Result<Option<Reply>> {
    // Opening a pipe or a device might wait for ever.
    let metadata = std::fs::metadata(path)?;
    if !metadata.is_file() {
        return Ok(Some(refused(
            FailureKind::Invalid,
            format!("{path} is not a regular file"),
        )));
    }
    let mut file = File::open(path)?;
    let metadata = file.metadata()?;
    if offset > metadata.len() {
        let message = format!(
            "{path} has {} bytes; the host has {offset}, so its copy is of another file",
            metadata.len()
        );
        return Ok(Some(refused(FailureKind::Invalid, message)));
    }
    if channel.reply(&Reply::Reading(facts(&metadata))).is_err() {
        return Ok(None);
    }
    let mut checksum = Checksum::new();
    let mut piece = vec![0; PIECE];
    let mut known = (&mut file).take(offset);
    while let count @ 1.. = known.read(&mut piece)? {
        checksum.update(&piece[..count]);
    }
    file.seek(SeekFrom::Start(offset))?;
    while let count @ 1.. = file.read(&mut piece)? {
        checksum.update(&piece[..count]);
        if channel.write_all(Port::Output, &piece[..count]).is_err() {
            return Ok(None);
        }
    }
    let ended = channel.end(Port::Output).is_ok();
    Ok(ended.then(|| Reply::Read {
        sha256: checksum.finish(),
    }))
}

fn facts(metadata: &Metadata) -> FileFacts {
    let modified = metadata
        .modified()
        .ok()
        .and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    FileFacts {
        size: metadata.len(),
        mode: mode(metadata),
        modified: modified.and_then(|since| i64::try_from(since.as_secs()).ok()),
    }
}

#[cfg(unix)]
fn mode(metadata: &Metadata) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt;
    Some(metadata.permissions().mode() & 0o7777)
}

#[cfg(windows)]
fn mode(_: &Metadata) -> Option<u32> {
    None
}
