use super::Form;

/// Whether a VM has the port it is set to have.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pending {
    /// The VM does not run; its next start takes the setting.
    AtStart,
    /// It runs with what it is set to.
    Nothing,
    /// It runs with another, until it is shut down and started.
    Restart {
        /// What it has now.
        running: String,
    },
}

impl Pending {
    /// Compares the setting with the one that the running QEMU was given, which [`serial_argument`] finds. Spellings of the
    /// same are the same.
    pub fn of(setting: &str, running: Option<&str>) -> Self {
        let Some(running) = running else { return Self::AtStart };
        let same = setting == running
            || matches!((setting.parse::<Form>(), running.parse::<Form>()), (Ok(set), Ok(runs)) if set == runs);
        match same {
            true => Self::Nothing,
            false => Self::Restart {
                running: running.into(),
            },
        }
    }
}

/// What a QEMU was given for its first serial port, out of `/proc/PID/cmdline`: words that end with zero bytes.
///
/// ```
/// use serial_link::setup::serial_argument;
///
/// let line = b"qemu-system-i386\0-machine\0pc-0.10\0-serial\0pty\0-display\0none\0";
/// assert_eq!(serial_argument(line), Some("pty".into()));
/// ```
pub fn serial_argument(cmdline: &[u8]) -> Option<String> {
    let mut words = cmdline.split(|&byte| byte == 0);
    words.find(|word| matches!(*word, b"-serial" | b"--serial"))?;
    words.next().map(|word| String::from_utf8_lossy(word).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restart_is_pending_or_not() {
        let setting = "unix:/run/a,server,nowait";
        assert_eq!(Pending::of(setting, None), Pending::AtStart);
        assert_eq!(
            Pending::of(setting, Some("unix:/run/a,server=on,wait=off")),
            Pending::Nothing
        );
        assert_eq!(Pending::of("nonsense", Some("nonsense")), Pending::Nothing);
        let restart = Pending::of(setting, Some("pty"));
        assert_eq!(restart, Pending::Restart { running: "pty".into() });
        assert_eq!(serial_argument(b"qemu\0-serial"), None);
        assert_eq!(serial_argument(b"qemu\0-xserial\0pty\0"), None);
    }
}
