use std::io::{Read, Seek, SeekFrom, Write};

use crate::blocking::client::unexpected;
use crate::blocking::{Channel, Client};
use crate::checksum::Checksum;
use crate::client_error::ClientError;
use crate::message::{FileFacts, Port, Put, Reply, Request};
use crate::role::Host;

const PIECE: usize = 64 << 10;

impl Client {
    /// Copies a file out of the VM behind what `to` has already: empty for a whole copy.
    ///
    /// # Errors
    /// If the file cannot be read there or written here, or the copy is not the same.
    pub fn get(&self, path: &str, to: &mut (impl Read + Write + Seek)) -> Result<FileFacts, ClientError> {
        let (offset, mut checksum) = sum(to, u64::MAX)?;
        let channel = self.open(&Request::Get {
            path: path.into(),
            offset,
        })?;
        let copied = self.copy_out(&channel, to, &mut checksum);
        self.abandon(&channel);
        let (facts, theirs) = copied?;
        to.flush()?;
        if theirs == checksum.finish() {
            Ok(facts)
        } else {
            Err(ClientError::Checksum { path: path.into() })
        }
    }

    fn copy_out(
        &self,
        channel: &Channel<Host>,
        to: &mut impl Write,
        checksum: &mut Checksum,
    ) -> Result<(FileFacts, crate::Digest), ClientError> {
        let facts = match self.reply(channel)? {
            Reply::Reading(facts) => facts,
            other => return Err(unexpected(channel, other)),
        };
        while let Some(bytes) = channel.read(Port::Output, PIECE)? {
            checksum.update(&bytes);
            to.write_all(&bytes)?;
        }
        match self.reply(channel)? {
            Reply::Read { sha256 } => Ok((facts, sha256)),
            other => Err(unexpected(channel, other)),
        }
    }

    /// Copies a file into the VM. With [`Put::resume`] it goes on with what an earlier attempt has left there.
    ///
    /// # Errors
    /// If the file cannot be read here or written there, or the copy is not the same.
    pub fn put(&self, put: &Put, from: &mut (impl Read + Seek)) -> Result<(), ClientError> {
        let channel = self.open(&Request::Put(put.clone()))?;
        let copied = self.copy_in(&channel, put.size, from);
        self.abandon(&channel);
        copied
    }

    fn copy_in(&self, channel: &Channel<Host>, size: u64, from: &mut (impl Read + Seek)) -> Result<(), ClientError> {
        let offset = match self.reply(channel)? {
            Reply::Writing { offset } => offset,
            other => return Err(unexpected(channel, other)),
        };
        let (_, mut checksum) = sum(from, offset)?;
        let mut rest = from.take(size.saturating_sub(offset));
        let mut piece = vec![0; PIECE];
        loop {
            let count = rest.read(&mut piece)?;
            if count == 0 {
                break;
            }
            checksum.update(&piece[..count]);
            if channel.write_all(Port::Input, &piece[..count]).is_err() {
                // The agent says why it takes no more.
                return self.written(channel);
            }
        }
        let done = channel.end(Port::Input).and_then(|()| {
            channel.follow_up(&Request::Commit {
                sha256: checksum.finish(),
            })
        });
        let answer = self.written(channel);
        // What the agent says explains more than that the channel is closed.
        answer.and(done.map_err(Into::into))
    }

    fn written(&self, channel: &Channel<Host>) -> Result<(), ClientError> {
        match self.reply(channel)? {
            Reply::Written { .. } => Ok(()),
            other => Err(unexpected(channel, other)),
        }
    }
}

/// The checksum of the first `limit` bytes, behind which the position then is.
fn sum(file: &mut (impl Read + Seek), limit: u64) -> Result<(u64, Checksum), std::io::Error> {
    file.seek(SeekFrom::Start(0))?;
    let mut checksum = Checksum::new();
    let mut piece = vec![0; PIECE];
    let mut start = file.take(limit);
    let mut length = 0;
    loop {
        let count = start.read(&mut piece)?;
        if count == 0 {
            return Ok((length, checksum));
        }
        checksum.update(&piece[..count]);
        length += count as u64;
    }
}
