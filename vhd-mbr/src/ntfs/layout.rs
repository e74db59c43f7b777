use xen_disk::ReadAt;

use super::Error;
use super::file::File;
use super::log_file;
use super::name::Name;
use super::record::{Attribute, kind};
use super::reference::FileReference;
use super::volume::{Ntfs, system};
use crate::layout::{Layout, Obstacle};

/// How far up a file is asked whose it is: the file system's own directories are not nested more deeply.
const LEVELS: usize = 8;

impl<D: ReadAt> File<'_, D> {
    /// Where the bytes of its content are, and what speaks against changing them there.
    ///
    /// Content in the file record has its place too: the bytes at the ends of the record's sectors are in its update
    /// sequence array, and the layout says so. Bytes that Windows has not written yet are
    /// [`Unwritten`](crate::layout::Place::Unwritten).
    ///
    /// # Errors
    /// [`Error::NoSuchStream`] where it is a directory; others where the volume cannot be read.
    pub fn layout(&self) -> Result<Layout, Error> {
        self.layout_of("")
    }

    /// The same for the stream `name`.
    ///
    /// # Errors
    /// As [`layout`](Self::layout).
    pub fn layout_of(&self, name: &str) -> Result<Layout, Error> {
        let name = self.stream_name(name)?;
        let stream = self.open(kind::DATA, &name)?;
        let mut layout = Layout::new(stream.len(), stream.extents());
        layout.obstacles = self.obstacles(&name)?;
        if stream
            .in_record()
            .is_some_and(|record| record < self.volume().mirrored())
        {
            layout.obstacles.push(Obstacle::Mirrored);
        }
        Ok(layout)
    }

    fn obstacles(&self, stream: &Name) -> Result<Vec<Obstacle>, Error> {
        let mut obstacles = Vec::new();
        let flags = self
            .of_kind(kind::DATA)
            .find(|data| data.name == *stream)
            .map_or(0, |data| data.flags);
        if flags & Attribute::COMPRESSED != 0 {
            obstacles.push(Obstacle::Compressed);
        }
        if flags & Attribute::ENCRYPTED != 0 {
            obstacles.push(Obstacle::Encrypted);
        }
        if self.is_system_compressed()? {
            obstacles.push(Obstacle::SystemCompressed);
        } else if let Some(reparse) = self.reparse()? {
            obstacles.push(Obstacle::ReparsePoint { tag: reparse.tag() });
        }
        if self.is_system_file()? {
            obstacles.push(Obstacle::SystemFile);
        }
        obstacles.extend_from_slice(self.volume().obstacles()?);
        Ok(obstacles)
    }

    /// Whether the file is one of the file system's own: among the first records, or below `$Extend`.
    fn is_system_file(&self) -> Result<bool, Error> {
        let mut record = self.reference().record;
        let mut names = self.names()?;
        for _ in 0..LEVELS {
            if record == system::ROOT {
                return Ok(false);
            }
            if record < system::FIRST_USER {
                return Ok(true);
            }
            let Some(name) = names.first() else {
                return Ok(false);
            };
            let parent = self.volume().file(name.parent)?;
            record = parent.reference().record;
            names = parent.names()?;
        }
        Ok(false)
    }
}

impl<D: ReadAt> Ntfs<D> {
    /// What speaks against changing anything on the volume: that it was not unmounted, that its journal has something
    /// left to do, that Windows is hibernated.
    ///
    /// # Errors
    /// Where the volume cannot be read.
    pub fn obstacles(&self) -> Result<&[Obstacle], Error> {
        if let Some(known) = self.known_obstacles().get() {
            return Ok(known);
        }
        let mut found = Vec::new();
        if self.info()?.dirty || !self.is_log_clean()? {
            found.push(Obstacle::Unclean);
        }
        if self.is_hibernated()? {
            found.push(Obstacle::Hibernated);
        }
        Ok(self.known_obstacles().get_or_init(|| found))
    }

    fn is_log_clean(&self) -> Result<bool, Error> {
        let log = self.file(FileReference::any(system::LOG_FILE))?.content()?;
        let mut start = vec![0; log.len().min(log_file::START as u64) as usize];
        log.read(0, &mut start)?;
        Ok(log_file::is_clean(&start))
    }

    /// As Windows and the drivers of Linux see it: an image of the memory starts with `hibr`, one that has been taken
    /// back starts with `wake`, and an unused one with zeros. What starts otherwise is not to be trifled with.
    fn is_hibernated(&self) -> Result<bool, Error> {
        let Some(image) = self.root()?.child(&Name::from("hiberfil.sys"))? else {
            return Ok(false);
        };
        let image = self.file(image)?.content()?;
        let mut start = [0; 4096];
        if image.len() < start.len() as u64 {
            return Ok(false);
        }
        image.read(0, &mut start)?;
        let awake = start[..4].eq_ignore_ascii_case(b"wake") || start.iter().all(|&byte| byte == 0);
        Ok(!awake)
    }
}
