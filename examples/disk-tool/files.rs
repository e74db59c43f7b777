//! Files on the disk in an image, and changes of them in place.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use clap::Args;
use vhd_mbr::patch::{Change, Padding, Undo, WritePlan};
use vhd_mbr::vhd::{Kind, Vhd};
use vhd_mbr::xen_disk::WriteAt;
use xenapi_examples::{FoundVolume, Image, ImageFormat, Printable, WhichVolume, note};

#[derive(Args)]
pub(crate) struct Place {
    /// The image
    #[arg(value_name = "IMAGE")]
    image: PathBuf,
    /// The file, such as /etc/fstab or \Windows\System32\config\SYSTEM
    #[arg(value_name = "PATH")]
    path: String,
    #[command(flatten)]
    which: WhichVolume,
}

#[derive(Args)]
pub(crate) struct CatFlags {
    #[command(flatten)]
    place: Place,
}

#[derive(Args)]
pub(crate) struct PutFlags {
    #[command(flatten)]
    place: Place,
    /// The new content, not longer than the old; what is left becomes line ends
    #[arg(long, value_name = "FILE", required_unless_present = "replace")]
    from: Option<PathBuf>,
    /// Replace this text wherever it stands …
    #[arg(long, value_name = "TEXT", conflicts_with = "from", requires = "with")]
    replace: Option<String>,
    /// … with this one, which must be as long
    #[arg(long, value_name = "TEXT")]
    with: Option<String>,
    /// Where to keep what takes the change back; it must not be there yet
    #[arg(long, value_name = "FILE", required_unless_present = "dry_run")]
    undo: Option<PathBuf>,
    /// Only show what would be written
    #[arg(long)]
    dry_run: bool,
}

#[derive(Args)]
pub(crate) struct UndoFlags {
    /// The image
    #[arg(value_name = "IMAGE")]
    image: PathBuf,
    /// What `put --undo` kept
    #[arg(value_name = "UNDO")]
    undo: PathBuf,
}

/// The most that a file may have to be changed: it is held in memory.
const LONGEST: u64 = 64 << 20;

pub(crate) fn cat(flags: &CatFlags) -> anyhow::Result<()> {
    let image = Image::open(&flags.place.image)?;
    let found = FoundVolume::open(&image.disk, &flags.place.which)?;
    let mut out = io::stdout().lock();
    found.volume.content(&flags.place.path)?.copy_to(&mut out)?;
    Ok(out.flush()?)
}

pub(crate) fn put(flags: &PutFlags) -> anyhow::Result<()> {
    let place = &flags.place;
    let image = Image::open(&place.image)?;
    let found = FoundVolume::open(&image.disk, &place.which)?;
    let layout = found.volume.layout(&place.path)?;
    ensure!(
        layout.size <= LONGEST,
        "{} is too long to be changed",
        Printable(&place.path)
    );
    let mut old = Vec::new();
    found.volume.content(&place.path)?.copy_to(&mut old)?;
    let plan = WritePlan::for_file(&image.disk, found.on_disk()?, &layout, &changes(flags, &old)?)?;
    write!(io::stdout(), "{plan}")?;
    let Some(undo) = flags.undo.as_ref().filter(|_| !flags.dry_run && !plan.is_empty()) else {
        return Ok(());
    };
    let mut disk = writable(&place.image)?;
    let kept = File::create_new(undo).with_context(|| format!("cannot create {}", undo.display()))?;
    plan.undo().write(&kept)?;
    kept.sync_all()?;
    plan.apply(&mut *disk)?;
    note("Written, and read back.");
    Ok(())
}

fn changes(flags: &PutFlags, old: &[u8]) -> anyhow::Result<Vec<Change>> {
    if let Some(from) = &flags.from {
        let new = std::fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
        return Ok(vec![Change::replace(new, Padding::Newlines)]);
    }
    let (Some(from), Some(to)) = (&flags.replace, &flags.with) else {
        bail!("say --from FILE, or --replace TEXT --with TEXT");
    };
    ensure!(
        from.len() == to.len() && !from.is_empty(),
        "{from:?} and {to:?} are not equally long, and nothing can move"
    );
    let starts = (0..old.len()).filter(|&at| old[at..].starts_with(from.as_bytes()));
    let changes: Vec<_> = starts
        .map(|at| Change::write(at as u64, to.as_bytes()).expecting(from.as_bytes()))
        .collect();
    ensure!(!changes.is_empty(), "the file does not contain {from:?}");
    Ok(changes)
}

/// Takes a change back.
pub(crate) fn undo(flags: &UndoFlags) -> anyhow::Result<()> {
    let kept = File::open(&flags.undo).with_context(|| format!("cannot open {}", flags.undo.display()))?;
    let undo = Undo::read(kept)?;
    write!(io::stdout(), "{}", undo.plan())?;
    undo.apply(&mut *writable(&flags.image)?)?;
    note("Taken back, and read back.");
    Ok(())
}

/// The disk in an image, to be changed in place.
fn writable(path: &Path) -> anyhow::Result<Box<dyn WriteAt>> {
    let file = File::options().read(true).write(true).open(path);
    let file = file.with_context(|| format!("cannot write {}", path.display()))?;
    match ImageFormat::of_file(&file)? {
        ImageFormat::Raw => Ok(Box::new(file)),
        ImageFormat::Vhd => {
            let vhd = Vhd::open(file)?;
            ensure!(
                vhd.footer().kind != Kind::Differencing,
                "{} holds differences only: make one image of the chain with convert first",
                path.display()
            );
            Ok(Box::new(vhd))
        }
        ImageFormat::Qcow2 => bail!(
            "{} is qcow2, which is not changed in place: convert it first",
            path.display()
        ),
    }
}
