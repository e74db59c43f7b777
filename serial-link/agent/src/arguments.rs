use std::ffi::OsString;
use std::path::PathBuf;

pub(crate) const HELP: &str = "\
Runs commands and copies files in a virtual machine, asked over its serial port.

Usage: serial-agent [--port PORT] [--speed BAUD] [--secret FILE]
       serial-agent --xenstore FOLDER [--xenbus DEVICE] [--secret FILE]

  --port PORT    the port: /dev/ttyS0 by default, COM1 on Windows
  --speed BAUD   its speed, 115200 by default; virtual ports ignore it
  --secret FILE  the file with the secret that the host has too, readable by its owner only:
                 /etc/serial-agent/secret by default, C:\\ProgramData\\serial-agent\\secret on Windows
  --xenstore FOLDER  no port, but this folder of xenstore, on Linux: vm-data/serial-link on XenServer
                 and XCP-ng, data/serial-link elsewhere
  --xenbus DEVICE  where xenstore is, /dev/xen/xenbus by default
";

#[cfg(unix)]
const DEFAULTS: (&str, &str) = ("/dev/ttyS0", "/etc/serial-agent/secret");
#[cfg(windows)]
const DEFAULTS: (&str, &str) = ("COM1", r"C:\ProgramData\serial-agent\secret");

#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Arguments {
    pub(crate) port: PathBuf,
    pub(crate) speed: u32,
    pub(crate) secret: PathBuf,
    /// A folder of xenstore in place of the port.
    pub(crate) xenstore: Option<String>,
    pub(crate) xenbus: PathBuf,
}

#[derive(PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum ArgumentError {
    #[error("{0:?} is no option; `serial-agent --help` lists them")]
    Unknown(OsString),
    #[error("{0} needs a value behind it")]
    Missing(&'static str),
    #[error("{0:?} is no speed: give it in baud, like 115200")]
    Speed(OsString),
}

impl Arguments {
    /// Nothing if only help is wanted.
    pub(crate) fn parse(mut from: impl Iterator<Item = OsString>) -> Result<Option<Self>, ArgumentError> {
        let mut arguments = Self {
            port: DEFAULTS.0.into(),
            speed: 115_200,
            secret: DEFAULTS.1.into(),
            xenstore: None,
            xenbus: "/dev/xen/xenbus".into(),
        };
        while let Some(option) = from.next() {
            match option.to_str() {
                Some("--port") => arguments.port = from.next().ok_or(ArgumentError::Missing("--port"))?.into(),
                Some("--secret") => arguments.secret = from.next().ok_or(ArgumentError::Missing("--secret"))?.into(),
                Some("--xenbus") => arguments.xenbus = from.next().ok_or(ArgumentError::Missing("--xenbus"))?.into(),
                Some("--xenstore") => {
                    let value = from.next().ok_or(ArgumentError::Missing("--xenstore"))?;
                    arguments.xenstore = Some(value.to_string_lossy().into_owned());
                }
                Some("--speed") => {
                    let value = from.next().ok_or(ArgumentError::Missing("--speed"))?;
                    let speed = value.to_str().and_then(|text| text.parse().ok());
                    arguments.speed = speed.ok_or(ArgumentError::Speed(value))?;
                }
                Some("--help" | "-h") => return Ok(None),
                _ => return Err(ArgumentError::Unknown(option)),
            }
        }
        Ok(Some(arguments))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Option<Arguments>, ArgumentError> {
        Arguments::parse(line.split_whitespace().map(Into::into))
    }

    #[test]
    fn options_replace_defaults() {
        let arguments = parse("--port /dev/hvc0 --speed 9600").unwrap().unwrap();
        assert_eq!((arguments.port, arguments.speed), ("/dev/hvc0".into(), 9600));
        assert_eq!(arguments.secret, PathBuf::from(DEFAULTS.1));
    }

    #[test]
    fn what_is_not_understood_is_named() {
        assert_eq!(parse("--secrets x"), Err(ArgumentError::Unknown("--secrets".into())));
        assert_eq!(parse("--port"), Err(ArgumentError::Missing("--port")));
        assert_eq!(parse("--speed fast"), Err(ArgumentError::Speed("fast".into())));
        assert_eq!(parse("--help"), Ok(None));
    }
}
