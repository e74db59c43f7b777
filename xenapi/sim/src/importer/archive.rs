//! The archive as it arrives.

use std::collections::VecDeque;
use std::sync::Arc;

use xenapi::wire::xml::value_text;
use xenapi::{ToValue, Value};
use xva::{Check, Event, Parser, Verify};

use super::decoder::Decoder;
use super::objects::{Created, Disk, Options};
use crate::behaviour::vdi;
use crate::error::{ApiError, Result};
use crate::state::Shared;

/// How much of the archive tells the name of its first entry.
const NAME: usize = 100;
const DESCRIPTION: &str = "ova.xml";

/// An import under way. What it made goes again where it is dropped before it is finished.
pub(crate) struct Import {
    decoder: Decoder,
    parser: Parser,
    /// The name field of the first entry, as far as it is there.
    name: Vec<u8>,
    /// How many bytes of the archive came in.
    received: u64,
    work: Work,
}

struct Work {
    shared: Arc<Shared>,
    task: String,
    options: Options,
    created: Option<Created>,
    /// The disks that have not arrived as a whole, in the order of the archive.
    missing: VecDeque<Disk>,
    done: u64,
    finished: bool,
}

impl Import {
    pub(crate) fn new(shared: &Arc<Shared>, task: &str, options: Options) -> Self {
        let verify = if options.force { Verify::Report } else { Verify::Strict };
        Self {
            decoder: Decoder::new(),
            parser: Parser::with_options(xva::Options::new().verify(verify)),
            name: Vec::new(),
            received: 0,
            work: Work {
                shared: Arc::clone(shared),
                task: task.to_owned(),
                options,
                created: None,
                missing: VecDeque::new(),
                done: 0,
                finished: false,
            },
        }
    }

    pub(crate) fn is_compressed(&self) -> bool {
        self.decoder.is_compressed()
    }

    /// Whether all disks are there; what follows in the archive is not wanted.
    pub(crate) fn is_complete(&self) -> bool {
        self.work.created.is_some() && self.work.missing.is_empty()
    }

    /// Whether more came in than was wanted.
    pub(crate) fn has_rest(&self) -> bool {
        const TAR_BLOCK: u64 = 512;
        self.received > self.parser.position().next_multiple_of(TAR_BLOCK)
    }

    /// Takes bytes of the archive.
    pub(crate) fn push(&mut self, input: &[u8]) -> Result<()> {
        let Self {
            decoder,
            parser,
            name,
            received,
            work,
        } = self;
        decoder.push(input, |mut plain| {
            *received += plain.len() as u64;
            if name.len() < NAME {
                name.extend(plain.iter().take(NAME - name.len()));
                check_name(name)?;
            }
            while !work.is_complete()
                && let Some(event) = parser.feed(&mut plain).map_err(refusal)?
            {
                work.take(event)?;
            }
            Ok(())
        })
    }

    /// Ends the import and answers with the task's result.
    pub(crate) fn finish(mut self) -> Result<String> {
        if !self.is_complete() {
            return Err(ApiError::new("IMPORT_ERROR_PREMATURE_EOF", []));
        }
        self.work.finished = true;
        let created = self.work.created.take().unwrap_or_default();
        let task = &self.work.task;
        self.work.shared.with(|state| created.finish(state, task));
        Ok(value_text(&created.vms.to_value()))
    }
}

impl Work {
    fn is_complete(&self) -> bool {
        self.created.is_some() && self.missing.is_empty()
    }

    fn take(&mut self, event: Event<'_>) -> Result<()> {
        match event {
            Event::Ova(ova) => self.describe(ova.xml()),
            Event::Block(block) => {
                check_block(&block, self.options.force)?;
                self.write(block.disk, block.offset, block.data)
            }
            _ => Ok(()),
        }
    }

    /// Makes the objects. From here on a client may change where their networks lead.
    fn describe(&mut self, xml: &str) -> Result<()> {
        let description: Value = xenapi::wire::xml::from_value_text(xml)
            .map_err(|error| ApiError::new("IMPORT_ERROR", [&error.to_string()]))?;
        let (task, options) = (&self.task, &self.options);
        let created = self.shared.with(|state| {
            let created = Created::make(state, &description, options, task)?;
            state
                .db
                .set_entry("task", task, "other_config", "object_creation", "complete");
            Ok(created)
        })?;
        self.missing = created.disks.iter().filter(|disk| disk.size > 0).cloned().collect();
        self.created = Some(created);
        Ok(())
    }

    fn write(&mut self, folder: &str, offset: u64, data: &[u8]) -> Result<()> {
        let disk = self.missing.front().filter(|disk| disk.folder == folder);
        let disk = disk.ok_or_else(invalid)?;
        let all = self.created.as_ref().map_or(0, |created| created.size());
        let end = offset.saturating_add(data.len() as u64);
        self.shared.with(|state| {
            vdi::write(state, &disk.vdi, offset, data);
            let done = self.done.saturating_add(end) as f64 / all.max(1) as f64;
            state.set_progress(&self.task, done.min(1.0));
        });
        if end >= disk.size {
            self.done = self.done.saturating_add(disk.size);
            self.missing.pop_front();
        }
        Ok(())
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        if let Some(created) = self.created.take().filter(|_| !self.finished && !self.options.force) {
            self.shared.with(|state| created.undo(state));
        }
    }
}

/// Complains where the first entry is something else than the description.
fn check_name(name: &[u8]) -> Result<()> {
    let (name, ended) = match name.iter().position(|&byte| byte == 0) {
        Some(end) => (&name[..end], true),
        None => (name, name.len() == NAME),
    };
    if DESCRIPTION.as_bytes() == name || !ended {
        return Ok(());
    }
    let found = String::from_utf8_lossy(name);
    Err(ApiError::new("IMPORT_ERROR_UNEXPECTED_FILE", [DESCRIPTION, &found]))
}

/// Complains where a block differs from its checksum, or has none.
pub(crate) fn check_block(block: &xva::Block<'_>, force: bool) -> Result<()> {
    match block.check {
        Check::Verified(_) => Ok(()),
        Check::Mismatch { .. } if force => Ok(()),
        Check::Mismatch { expected, found } => Err(bad_checksum(block.disk, block.number, &expected, &found)),
        _ => {
            let next = format!("{}/{:08}", block.disk, block.number.saturating_add(1));
            let text = format!("Failure({:?})", format!("Found unsupported checksum file: {next}"));
            Err(ApiError::new("IMPORT_ERROR", [&text]))
        }
    }
}

fn bad_checksum(disk: &str, number: u64, expected: &xva::Digest, found: &xva::Digest) -> ApiError {
    let text = format!("Block {disk}/{number:08} checksum failed: original = {expected}; recomputed = {found}");
    ApiError::new("IMPORT_ERROR", [&format!("Stream_vdi.Invalid_checksum({text:?})")])
}

/// What xapi says to blocks out of order.
fn invalid() -> ApiError {
    ApiError::new("IMPORT_ERROR", ["Stream_vdi.Failure(\"Invalid XVA file\")"])
}

/// An error of the archive as xapi tells it.
pub(crate) fn refusal(error: xva::Error) -> ApiError {
    match error {
        xva::Error::Checksum {
            disk,
            number,
            expected,
            found,
            ..
        } => bad_checksum(&disk, number, &expected, &found),
        xva::Error::Truncated { .. } => ApiError::new("IMPORT_ERROR_PREMATURE_EOF", []),
        xva::Error::BlockOrder { .. }
        | xva::Error::BeyondEnd { .. }
        | xva::Error::DiskShort { .. }
        | xva::Error::DiskReturned { .. } => invalid(),
        error => ApiError::new("IMPORT_ERROR", [&format!("Failure({:?})", error.to_string())]),
    }
}
