//! The configuration of boot loaders for Linux: the kernel on the serial port, without a longer file.
//!
//! ```
//! use vhd_mbr::bootloader::SerialConsole;
//!
//! let grub = b"# made by grub-mkconfig, which overwrites what is changed here\n\
//!     menuentry 'Debian' {\n\tlinux /vmlinuz root=/dev/xvda1 ro quiet splash\n\tinitrd /initrd.img\n}\n";
//! let changed = SerialConsole::new(0, 115_200).put_into(grub)?;
//! assert_eq!(changed.len(), grub.len());
//! let changed = String::from_utf8(changed)?;
//! assert!(changed.contains("\tlinux /vmlinuz root=/dev/xvda1 ro console=tty0 console=ttyS0,115200\n"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A file that keeps its length can be changed where it is on the disk, with no driver of its file system: see
//! [`patch`](crate::patch). Room comes from `quiet`, `splash` and `rhgb`, which hide what the console is there to show,
//! and from comments; what is left over becomes empty lines at the end.

/// Which console Linux is to have, next to the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SerialConsole {
    port: u8,
    baud_rate: u32,
}

/// Why a configuration cannot have a console.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It starts no Linux.
    #[error("the file has no line that starts a Linux: none begins with linux, linux16, linuxefi, append or options")]
    NoKernel,
    /// A kernel's line goes on in the next one, which is not looked into.
    #[error("line {line} of the file goes on in the next one: put the kernel's options into one line first")]
    Continued {
        /// Which, from 1.
        line: usize,
    },
    /// It would have to become longer.
    #[error("{missing} bytes are missing for the console: the file has not enough comments that could make room")]
    NoRoom {
        /// How many bytes more the file would need.
        missing: usize,
    },
}

/// The words with which a line of GRUB begins that has a kernel and its options.
const COMMANDS: [&[u8]; 3] = [b"linux", b"linux16", b"linuxefi"];
/// Those of SYSLINUX and of systemd-boot (and GRUB, where it reads such entries), which have the options alone.
const OPTIONS: [&[u8]; 2] = [b"append", b"options"];
/// What hides the kernel's messages.
const HIDING: [&[u8]; 3] = [b"quiet", b"splash", b"rhgb"];

impl SerialConsole {
    /// On the serial port of this number, from 0 on (`ttyS0` is COM1), with so many bits a second.
    pub const fn new(port: u8, baud_rate: u32) -> Self {
        Self { port, baud_rate }
    }

    /// The same configuration, as long as it is, whose every Linux has the console. One that has it all already stays
    /// as it is.
    ///
    /// # Errors
    /// Where nothing in it starts a Linux, or there is no room.
    pub fn put_into(&self, config: &[u8]) -> Result<Vec<u8>, Error> {
        let mut lines: Vec<Vec<u8>> = config
            .split_inclusive(|&byte| byte == b'\n')
            .map(<[u8]>::to_vec)
            .collect();
        let console = format!("console=ttyS{}", self.port);
        let mut kernels = 0;
        let has_options = lines.iter().any(|line| is_command(line, &OPTIONS));
        for (number, line) in lines.iter_mut().enumerate() {
            // Where options have lines of their own, `linux` is a path and nothing else.
            let holds = is_command(line, &OPTIONS) || !has_options && is_command(line, &COMMANDS);
            if !holds {
                continue;
            }
            if line.trim_ascii_end().ends_with(b"\\") {
                return Err(Error::Continued { line: number + 1 });
            }
            kernels += 1;
            if words(line).any(|word| word.starts_with(console.as_bytes())) {
                continue;
            }
            *line = self.extended(line);
        }
        if kernels == 0 {
            return Err(Error::NoKernel);
        }
        let mut longer = lines.iter().map(Vec::len).sum::<usize>().saturating_sub(config.len());
        // The last comments go first: what a file is stands at its start.
        for line in lines.iter_mut().rev().filter(|line| line.starts_with(b"#")) {
            if longer == 0 {
                break;
            }
            longer = longer.saturating_sub(line.len());
            line.clear();
        }
        if longer > 0 {
            return Err(Error::NoRoom { missing: longer });
        }
        let mut changed = lines.concat();
        changed.resize(config.len(), b'\n');
        Ok(changed)
    }

    fn extended(self, line: &[u8]) -> Vec<u8> {
        let (text, end) = line.split_at(line.trim_ascii_end().len());
        let mut new = Vec::new();
        for part in text.split_inclusive(|&byte| byte == b' ') {
            if !HIDING.contains(&part.trim_ascii()) {
                new.extend_from_slice(part);
            }
        }
        new.truncate(new.trim_ascii_end().len());
        new.extend(format!(" console=tty0 console=ttyS{},{}", self.port, self.baud_rate).into_bytes());
        new.extend_from_slice(end);
        new
    }
}

fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty())
}

/// Whether a line begins with one of these commands and says more; `linux` alone, as a label, does not.
fn is_command(line: &[u8], commands: &[&[u8]]) -> bool {
    let mut words = words(line);
    let command = words.next().map(<[u8]>::to_ascii_lowercase);
    command.is_some_and(|command| commands.contains(&&*command)) && words.next().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    const COM1: SerialConsole = SerialConsole::new(0, 115_200);

    #[test]
    fn each_kernel_has_the_console_and_the_length_stays() {
        let config = "#\n# A comment that is long enough to give its place away, twice over, to the consoles.\n\
             ### BEGIN /etc/grub.d/10_linux ###\nmenuentry 'a' {\n    linux\t/vmlinuz root=UUID=1 ro quiet\r\n}\n\
             menuentry 'b' {\n  linuxefi /vmlinuz root=UUID=1 single\n}\n";
        let changed = COM1.put_into(config.as_bytes()).unwrap();
        assert_eq!(changed.len(), config.len());
        let text = String::from_utf8(changed).unwrap();
        assert!(
            text.contains("    linux\t/vmlinuz root=UUID=1 ro console=tty0 console=ttyS0,115200\r\n"),
            "{text}"
        );
        assert!(
            text.contains("root=UUID=1 single console=tty0 console=ttyS0,115200\n}\n"),
            "{text}"
        );
        assert_eq!(
            COM1.put_into(text.as_bytes()).unwrap(),
            text.as_bytes(),
            "once is enough"
        );
    }

    #[test]
    fn syslinux_and_systemd_boot_are_known() {
        for line in [
            "  APPEND root=/dev/xvda1 quiet splash rhgb",
            "options root=/dev/xvda1 quiet splash rhgb",
        ] {
            let config = format!("{line}\n# a comment of more than twenty-two bytes\n");
            let changed = COM1.put_into(config.as_bytes()).unwrap();
            assert_eq!(changed.len(), config.len());
            let first = changed.split(|&byte| byte == b'\n').next().unwrap();
            let expected = line.replace(" quiet splash rhgb", " console=tty0 console=ttyS0,115200");
            assert_eq!(String::from_utf8_lossy(first), expected);
        }
    }

    #[test]
    fn a_kernels_path_stays_a_path() {
        for (entry, options) in [
            ("title Arch\nlinux /vmlinuz-linux\n", "options root=UUID=1 rw quiet"),
            ("LABEL virt\n  LINUX vmlinuz-virt\n", "  APPEND root=UUID=1 rw quiet"),
        ] {
            let config = format!("# a comment of more than twenty-eight bytes\n{entry}{options}\n");
            let changed = String::from_utf8(COM1.put_into(config.as_bytes()).unwrap()).unwrap();
            assert!(changed.starts_with(entry), "{changed}");
            let expected = options.replace(" quiet", " console=tty0 console=ttyS0,115200\n");
            assert!(changed.contains(&expected), "{changed}");
        }
    }

    #[test]
    fn a_line_that_goes_on_is_refused() {
        let config = b"# a comment that could make room for it\nlinux /vmlinuz root=/dev/xvda1 \\\n  ro quiet\n";
        assert_eq!(COM1.put_into(config), Err(Error::Continued { line: 2 }));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        assert_eq!(COM1.put_into(b"set timeout=1\nlinux\n"), Err(Error::NoKernel));
        assert_eq!(COM1.put_into(b"linux /vmlinuz\n"), Err(Error::NoRoom { missing: 34 }));
        assert_eq!(
            COM1.put_into(b"linux /vmlinuz\n# ten bytes\n"),
            Err(Error::NoRoom { missing: 22 })
        );
        assert_eq!(COM1.put_into(b""), Err(Error::NoKernel));
    }
}
