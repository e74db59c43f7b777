//! Copies an archive with other metadata.

use std::io::{Read, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use super::plain::Plain;
use super::{EditError, OvaEditor};
use crate::block::Name;
use crate::error::{Error, Place, Truncation};
use crate::ova::{self, Ova};
use crate::tar::{self, Item, Tar, compose};

/// The longest metadata that is read.
const METADATA_LIMIT: u64 = 64 << 20;

/// No entry has extended headers longer than this in front.
const EXTENSIONS_LIMIT: usize = 4 << 20;

/// Bytes behind the end of the archive, such as the padding of a tape record, are copied up to here.
const TRAILING_LIMIT: u64 = 1 << 20;

/// Copies an archive and puts `xml` in the place of its `ova.xml`. Gives the length of the copy in bytes.
///
/// Every other entry is copied byte for byte, in one pass over the input, which can be a pipe. A compressed archive
/// becomes a plain one; to compress the copy, write it through a [`Compressor`](crate::write::Compressor). Blocks are
/// not verified: damage is copied like everything else, and shows when the copy is read.
///
/// # Errors
/// Where the input is no archive or breaks off inside an entry, the new metadata would not fit its disks, or the output
/// fails. What is written by then is no archive.
pub fn repack<R: Read, W: Write>(input: R, xml: &str, output: W) -> Result<u64, EditError> {
    copy(input, output, |_| {
        Ova::parse(xml)?;
        Ok(xml.to_owned())
    })
}

/// Copies an archive and changes its metadata on the way, as [`repack`] does with metadata known beforehand.
///
/// ```no_run
/// use std::fs::File;
///
/// let (input, output) = (File::open("machine.xva.zst")?, File::create("renamed.xva")?);
/// xva::edit::repack_with(input, output, |editor| {
///     for vm in editor.ids("VM")? {
///         editor.rename_vm(&vm, "a new name")?;
///     }
///     Ok(())
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// As [`repack`], and whatever `edit` gives.
pub fn repack_with<R: Read, W: Write>(
    input: R,
    output: W,
    edit: impl FnOnce(&mut OvaEditor) -> Result<(), EditError>,
) -> Result<u64, EditError> {
    copy(input, output, |xml| {
        let mut editor = OvaEditor::new(xml)?;
        edit(&mut editor)?;
        Ok(editor.xml().to_owned())
    })
}

/// What happens to the bytes that come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Headers, kept until it is known what they are for.
    Kept,
    /// Content that is copied.
    Copied { left: u64 },
    /// The metadata, which is collected by the parser.
    Collected,
    /// Behind the end of the archive.
    Behind,
}

fn copy<R: Read, W: Write>(
    input: R,
    output: W,
    edit: impl FnOnce(&str) -> Result<String, EditError>,
) -> Result<u64, EditError> {
    let mut input = Plain::new(input);
    let mut output = Counted {
        inner: output,
        written: 0,
    };
    let mut tar = Tar::new();
    let mut headers = Vec::new();
    let mut fate = Fate::Kept;
    let mut edit = Some(edit);
    let mut metadata_size = 0;
    loop {
        match tar.poll()? {
            Some(Item::Entry(entry))
                if edit.is_some() && entry.regular && Name::parse(&entry.name) == Name::Metadata =>
            {
                if tar.has_global_attributes() {
                    return Err(EditError::GlobalAttributes);
                }
                if entry.size > METADATA_LIMIT {
                    return Err(EditError::Archive(Error::TooLarge {
                        position: entry.position,
                        entry: entry.name,
                        size: entry.size,
                        limit: METADATA_LIMIT,
                    }));
                }
                headers.clear();
                metadata_size = entry.size as usize;
                tar.collect(Vec::new());
                fate = Fate::Collected;
            }
            Some(Item::Entry(entry)) => {
                output.write(&headers)?;
                headers.clear();
                tar.skip();
                let left = entry.size.next_multiple_of(tar::BLOCK as u64);
                fate = if left > 0 { Fate::Copied { left } } else { Fate::Kept };
            }
            Some(Item::Content) => {
                let content = tar.take();
                let old = ova::utf8(&content[..metadata_size])?;
                if let Some(edit) = edit.take() {
                    output.metadata(old, &edit(old)?)?;
                }
                fate = Fate::Kept;
            }
            Some(Item::End) => {
                output.write(&headers)?;
                headers.clear();
                fate = Fate::Behind;
            }
            // Without the two zero blocks, which some leave off on purpose.
            Some(Item::Eof(Place::AfterEntry { .. })) if edit.is_none() => {
                output.write(&headers)?;
                break;
            }
            Some(Item::Eof(place)) => {
                let truncation = Truncation {
                    place,
                    disk: None,
                    missing: Vec::new(),
                };
                return Err(EditError::Archive(Error::Truncated {
                    position: tar.position(),
                    truncation: Box::new(truncation),
                }));
            }
            None => {
                let space = tar.space();
                let n = input.read(space)?;
                let bytes = &space[..n];
                match &mut fate {
                    Fate::Kept if headers.len() + n > EXTENSIONS_LIMIT => {
                        return Err(EditError::Archive(Error::Header {
                            position: tar.position(),
                            field: "number of extended headers",
                        }));
                    }
                    Fate::Kept => headers.extend(bytes),
                    Fate::Collected => {}
                    Fate::Behind => output.write(bytes)?,
                    Fate::Copied { left } => {
                        output.write(bytes)?;
                        *left -= n as u64;
                        if *left == 0 {
                            fate = Fate::Kept;
                        }
                    }
                }
                tar.advance(n);
                match n {
                    0 if fate == Fate::Behind => break,
                    0 => tar.end_of_input(),
                    _ if tar.trailing() > TRAILING_LIMIT => break,
                    _ => {}
                }
            }
        }
    }
    if edit.is_some() {
        return Err(EditError::NoMetadata);
    }
    output.finish()
}

/// An output that counts.
struct Counted<W> {
    inner: W,
    written: u64,
}

impl<W: Write> Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), EditError> {
        let written = self.written;
        self.inner
            .write_all(bytes)
            .map_err(|source| EditError::Output { written, source })?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    /// Writes the entry of the metadata.
    fn metadata(&mut self, old: &str, new: &str) -> Result<(), EditError> {
        if exported(&Ova::parse(old)?) != exported(&Ova::parse(new)?) {
            return Err(EditError::OtherDisks);
        }
        let size = new.len() as u64;
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let header = compose("ova.xml", size, now.map_or(0, |now| now.as_secs()));
        self.write(&header.ok_or(EditError::MetadataTooLong { size })?)?;
        self.write(new.as_bytes())?;
        self.write(&[0; tar::BLOCK][..new.len().next_multiple_of(tar::BLOCK) - new.len()])
    }

    fn finish(mut self) -> Result<u64, EditError> {
        let written = self.written;
        self.inner
            .flush()
            .map_err(|source| EditError::Output { written, source })?;
        Ok(written)
    }
}

/// The disks that belong into the archive, and how long they are.
fn exported(ova: &Ova) -> Vec<(&str, Option<u64>)> {
    let exported = ova.vdis().iter().filter(|vdi| vdi.is_exported);
    exported.map(|vdi| (vdi.id.as_str(), vdi.virtual_size)).collect()
}
