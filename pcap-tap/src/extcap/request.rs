use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

/// What Wireshark asks a capture program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Which interfaces there are (`--extcap-interfaces`). It is asked at every start, so the answer has to be quick.
    Interfaces,
    /// Which kinds of frames an interface has (`--extcap-dlts`).
    LinkTypes {
        /// The interface, as the program has named it.
        interface: String,
    },
    /// Which options an interface has (`--extcap-config`). This is asked of every interface at every start, too.
    Options {
        /// The interface, as the program has named it.
        interface: String,
        /// The option whose values somebody wants anew; then only these are answered.
        reload: Option<String>,
    },
    /// To capture (`--capture`).
    Capture(Capture),
}

/// A capture as Wireshark wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capture {
    /// The interface, as the program has named it.
    pub interface: String,
    /// Where to write the capture: a FIFO, which Wireshark reads.
    pub fifo: PathBuf,
    /// The filter in tcpdump's language, perhaps empty.
    pub filter: String,
    /// The program's own options with their values, without the leading `--`.
    pub options: BTreeMap<String, String>,
}

/// Why arguments are no request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An argument lacks its value.
    #[error("{flag} needs a value; this program is run by Wireshark")]
    NoValue {
        /// The argument.
        flag: String,
    },
    /// A request lacks an argument.
    #[error("{request} needs {flag}; this program is run by Wireshark")]
    Missing {
        /// The request.
        request: &'static str,
        /// What it needs.
        flag: &'static str,
    },
    /// An argument is not Unicode.
    #[error("{flag} has a value that is not Unicode")]
    NotUnicode {
        /// The argument.
        flag: String,
    },
}

const INTERFACE: &str = "--extcap-interface";
const FIFO: &str = "--fifo";

impl Request {
    /// Reads the arguments of a program, without its name; none where they are not Wireshark's.
    ///
    /// Arguments that later versions may add are passed over: `--extcap-…` with what follows it.
    ///
    /// # Errors
    /// Where a value or an argument is missing.
    pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Option<Self>, Error> {
        let mut given = Given::default();
        let mut arguments = arguments.into_iter().peekable();
        while let Some(argument) = arguments.next() {
            let text = argument.to_string_lossy().into_owned();
            if !text.starts_with("--") {
                continue;
            }
            let (flag, inline) = match text.split_once('=') {
                Some((flag, value)) => (flag.to_owned(), Some(OsString::from(value))),
                None => (text, None),
            };
            match flag.as_str() {
                "--extcap-interfaces" => given.interfaces = true,
                "--extcap-dlts" => given.link_types = true,
                "--extcap-config" => given.options = true,
                "--capture" => given.capture = true,
                _ => {
                    let takes_any = matches!(
                        flag.as_str(),
                        INTERFACE | FIFO | "--extcap-capture-filter" | "--extcap-reload-option"
                    );
                    let is_value = |next: &OsString| takes_any || !next.to_string_lossy().starts_with("--");
                    let value = inline.or_else(|| arguments.next_if(is_value));
                    if value.is_none() && takes_any {
                        return Err(Error::NoValue { flag });
                    }
                    given.values.insert(flag, value.unwrap_or_default());
                }
            }
        }
        given.request()
    }
}

#[derive(Default)]
struct Given {
    interfaces: bool,
    link_types: bool,
    options: bool,
    capture: bool,
    values: BTreeMap<String, OsString>,
}

impl Given {
    fn request(mut self) -> Result<Option<Request>, Error> {
        Ok(Some(if self.interfaces {
            Request::Interfaces
        } else if self.link_types {
            let interface = self.interface("--extcap-dlts")?;
            Request::LinkTypes { interface }
        } else if self.options {
            Request::Options {
                interface: self.interface("--extcap-config")?,
                reload: self.text("--extcap-reload-option")?,
            }
        } else if self.capture {
            let request = "--capture";
            Request::Capture(Capture {
                interface: self.interface(request)?,
                fifo: self
                    .values
                    .remove(FIFO)
                    .map(PathBuf::from)
                    .ok_or(Error::Missing { request, flag: FIFO })?,
                filter: self.text("--extcap-capture-filter")?.unwrap_or_default(),
                options: self.options()?,
            })
        } else {
            return Ok(None);
        }))
    }

    fn interface(&mut self, request: &'static str) -> Result<String, Error> {
        let flag = INTERFACE;
        self.text(flag)?.ok_or(Error::Missing { request, flag })
    }

    fn text(&mut self, flag: &str) -> Result<Option<String>, Error> {
        let text = self.values.remove(flag).map(OsString::into_string).transpose();
        text.map_err(|_| Error::NotUnicode { flag: flag.to_owned() })
    }

    /// What is left is the program's own.
    fn options(self) -> Result<BTreeMap<String, String>, Error> {
        let own = self
            .values
            .into_iter()
            .filter(|(flag, _)| !flag.starts_with("--extcap-"));
        own.map(|(flag, value)| {
            let name = flag.trim_start_matches('-').to_owned();
            let value = value.into_string().map_err(|_| Error::NotUnicode { flag })?;
            Ok((name, value))
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(line: &str) -> Result<Option<Request>, Error> {
        Request::parse(line.split(' ').map(OsString::from))
    }

    #[test]
    fn a_capture_as_wireshark_asks_for_it() {
        let asked =
            "--capture --extcap-interface vif:1:0 --fifo /tmp/w --extcap-capture-filter --x --snaplen 128 --follow";
        let Ok(Some(Request::Capture(capture))) = parse(asked) else {
            panic!("no capture");
        };
        assert_eq!((&*capture.interface, &*capture.filter), ("vif:1:0", "--x"));
        assert_eq!(capture.fifo, PathBuf::from("/tmp/w"));
        let options = [("follow", ""), ("snaplen", "128")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(capture.options, BTreeMap::from(options));
    }

    #[test]
    fn listings_with_and_without_a_version() {
        for asked in [
            "--extcap-interfaces",
            "--extcap-interfaces --extcap-version=4.0",
            "--extcap-version 4.2 --extcap-interfaces",
        ] {
            assert_eq!(parse(asked), Ok(Some(Request::Interfaces)), "{asked}");
        }
        let interface = "vif:1:0".to_owned();
        assert_eq!(
            parse("--extcap-dlts --extcap-interface=vif:1:0"),
            Ok(Some(Request::LinkTypes {
                interface: interface.clone()
            }))
        );
        assert_eq!(
            parse("--extcap-config --extcap-interface vif:1:0 --extcap-reload-option nic"),
            Ok(Some(Request::Options {
                interface,
                reload: Some("nic".into())
            }))
        );
    }

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(parse("install"), Ok(None));
        let wrong = parse("--capture --extcap-interface x").unwrap_err();
        assert!(wrong.to_string().contains("--fifo"), "{wrong}");
        let wrong = parse("--extcap-dlts --extcap-interface").unwrap_err();
        assert!(wrong.to_string().contains("--extcap-interface needs"), "{wrong}");
        assert!(parse("--extcap-config").is_err());
    }

    proptest! {
        #[test]
        fn no_arguments_break_it(
            words in prop::collection::vec("(--(capture|fifo|extcap-(config|interface|dlts|x)|x)(=.{0,3})?|.{0,4})", 0..8),
        ) {
            let _ = Request::parse(words.into_iter().map(OsString::from));
        }
    }
}
