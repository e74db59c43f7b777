//! The disks of an archive as files.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use anyhow::{Context, ensure};
use clap::Args;
use fuser::{
    Config, Errno, FileAttr, FileHandle, FileType, Filesystem, Generation, INodeNo, LockOwner, MountOption, OpenFlags,
    ReplyAttr, ReplyData, ReplyDirectory, ReplyEntry, ReplyLseek, Request, Session, SessionUnmounter,
};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use xenapi_examples::note;
use xva::{ArchiveDisk, ReadAt};

use crate::extract::image_name;

#[derive(Args)]
pub(crate) struct Flags {
    /// The archive, not compressed
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The folder to show them in: Ref-12.raw and so on
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// Shows them until it is killed, or until `fusermount -u FOLDER`.
pub(crate) fn run(flags: &Flags) -> anyhow::Result<()> {
    let archive = crate::archive(&flags.file)?;
    let made = flags.file.metadata()?.modified()?;
    let mut images = Vec::new();
    for id in archive.disks()? {
        let disk = archive.disk(&id)?;
        let size = disk.size()?;
        images.push(Image {
            name: image_name(&id),
            size,
            disk,
        });
    }
    ensure!(!images.is_empty(), "the archive has no disks");
    let paths: Vec<_> = images.iter().map(|image| flags.folder.join(&image.name)).collect();
    let mut config = Config::default();
    config.mount_options = vec![
        MountOption::RO,
        MountOption::FSName("xva".to_owned()),
        MountOption::NoExec,
    ];
    let mut session = Session::new(Images { images, made }, &flags.folder, &config)
        .with_context(|| format!("cannot mount on {}", flags.folder.display()))?;
    unmount_on_signal(session.unmount_callable())?;
    let mut out = io::stdout().lock();
    if flags.json {
        writeln!(out, "{:#}", json!(paths))?;
    } else {
        paths.iter().try_for_each(|path| writeln!(out, "{}", path.display()))?;
    }
    out.flush()?;
    drop(out);
    note("Mounted read-only; ctrl-c ends it.");
    Ok(session.run()?)
}

/// Ctrl-c and kill take the mount away first.
fn unmount_on_signal(mut unmounter: SessionUnmounter) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut interrupt, mut terminate) = {
        let _inside = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    std::thread::spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        });
        if let Err(error) = unmounter.unmount() {
            note(format!("cannot unmount: {error}"));
        }
    });
    Ok(())
}

/// Nothing here changes while it is mounted.
const VALID: Duration = Duration::from_secs(3600);

/// `lseek`'s whence (Linux): the next data, the next hole.
const SEEK_DATA: i32 = 3;
const SEEK_HOLE: i32 = 4;

struct Image {
    name: String,
    size: u64,
    disk: ArchiveDisk<File>,
}

struct Images {
    images: Vec<Image>,
    made: SystemTime,
}

impl Images {
    /// The folder is 1; images are counted on from there.
    fn number(place: usize) -> INodeNo {
        INodeNo(place as u64 + 2)
    }

    fn image(&self, number: INodeNo) -> Option<&Image> {
        let place = u64::from(number).checked_sub(2)?;
        self.images.get(usize::try_from(place).ok()?)
    }

    fn attributes(&self, number: INodeNo) -> Option<FileAttr> {
        let (kind, perm, size) = match self.image(number) {
            Some(image) => (FileType::RegularFile, 0o400, image.size),
            None if number == INodeNo::ROOT => (FileType::Directory, 0o500, 0),
            None => return None,
        };
        Some(FileAttr {
            ino: number,
            size,
            blocks: size.div_ceil(512),
            atime: self.made,
            mtime: self.made,
            ctime: self.made,
            crtime: self.made,
            kind,
            perm,
            nlink: 1,
            uid: rustix::process::getuid().as_raw(),
            gid: rustix::process::getgid().as_raw(),
            rdev: 0,
            blksize: 1 << 20,
            flags: 0,
        })
    }
}

impl Filesystem for Images {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let place = self.images.iter().position(|image| name == image.name.as_str());
        let found = place.filter(|_| parent == INodeNo::ROOT).map(Self::number);
        match found.and_then(|number| self.attributes(number)) {
            Some(attributes) => reply.entry(&VALID, &attributes, Generation(0)),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, _: &Request, number: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.attributes(number) {
            Some(attributes) => reply.attr(&VALID, &attributes),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn readdir(&self, _: &Request, number: INodeNo, _: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        if number != INodeNo::ROOT {
            return reply.error(Errno::ENOTDIR);
        }
        let own = [".", ".."].map(|name| (INodeNo::ROOT, FileType::Directory, name));
        let images = self.images.iter().enumerate();
        let images = images.map(|(place, image)| (Self::number(place), FileType::RegularFile, image.name.as_str()));
        for (next, (number, kind, name)) in (1..).zip(own.into_iter().chain(images)).skip(offset as usize) {
            if reply.add(number, next, kind, name) {
                break;
            }
        }
        reply.ok();
    }

    fn read(
        &self,
        _: &Request,
        number: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let Some(image) = self.image(number) else {
            return reply.error(Errno::EISDIR);
        };
        let count = image.size.saturating_sub(offset).min(size.into());
        let mut bytes = vec![0; count as usize];
        match image.disk.read(offset, &mut bytes) {
            Ok(()) => reply.data(&bytes),
            Err(error) => {
                note(format!("{}: {error}", image.name));
                reply.error(Errno::EIO);
            }
        }
    }

    fn lseek(&self, _: &Request, number: INodeNo, _: FileHandle, offset: i64, whence: i32, reply: ReplyLseek) {
        let (Some(image), Ok(offset)) = (self.image(number), u64::try_from(offset)) else {
            return reply.error(Errno::EINVAL);
        };
        match (whence, seek(image, offset, whence)) {
            (SEEK_DATA | SEEK_HOLE, Ok(Some(place))) => reply.offset(place as i64),
            (SEEK_DATA | SEEK_HOLE, Ok(None)) => reply.error(Errno::ENXIO),
            (SEEK_DATA | SEEK_HOLE, Err(_)) => reply.error(Errno::EIO),
            _ => reply.error(Errno::EINVAL),
        }
    }
}

/// Where the next data or the next hole starts; none behind the end.
fn seek(image: &Image, offset: u64, whence: i32) -> io::Result<Option<u64>> {
    if offset >= image.size {
        return Ok(None);
    }
    let mut at = offset;
    while let Some(data) = image.disk.next_data(at)? {
        match whence {
            SEEK_DATA => return Ok(Some(data.start.max(offset))),
            _ if data.start > at => return Ok(Some(at)),
            _ => at = data.end,
        }
    }
    Ok((whence == SEEK_HOLE).then_some(at.min(image.size)))
}
