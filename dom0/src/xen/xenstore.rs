use super::{XenError, XenStorePath, escape, unescape};
use crate::{ByteStream, Command, Dom0, Error, Exit, Running};

/// xenstore, through the programs of the control domain. Values are bytes.
///
/// ```no_run
/// use dom0::xen::XenStorePath;
///
/// # async fn example(dom0: dom0::Dom0) -> Result<(), Box<dyn std::error::Error>> {
/// let data = XenStorePath::domain(7).child("data/request")?;
/// let xenstore = dom0.xenstore();
/// xenstore.write(&data, b"hello").await?;
/// let mut watch = xenstore.watch(&data).await?;
/// while let Some(path) = watch.next().await? {
///     println!("{path} is now {:?}", xenstore.read(&path).await?);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct XenStore {
    dom0: Dom0,
}

/// quota-maxsize of oxenstored, and the node size of xenstored.
const LARGEST: usize = 2048;

/// One line of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// Where it is.
    pub path: XenStorePath,
    /// Its value; none when it could not be read.
    pub value: Option<Vec<u8>>,
}

impl Dom0 {
    /// The xenstore of the host.
    pub fn xenstore(&self) -> XenStore {
        XenStore { dom0: self.clone() }
    }
}

impl XenStore {
    /// The value at a path; none when there is nothing, or nothing that may be read.
    pub async fn read(&self, path: &XenStorePath) -> Result<Option<Vec<u8>>, Error> {
        let printed = self
            .ask("xenstore-read", &[path.as_str()], "couldn't read path")
            .await?;
        Ok(printed.map(|printed| unescape(printed.strip_suffix(b"\n").unwrap_or(&printed))))
    }

    /// The names below a path; none when there is no such path.
    pub async fn list(&self, path: &XenStorePath) -> Result<Option<Vec<String>>, Error> {
        let printed = self
            .ask("xenstore-list", &[path.as_str()], "could not list path")
            .await?;
        printed
            .map(|printed| parse_list(&printed))
            .transpose()
            .map_err(|source| self.odd(source))
    }

    /// Everything below a path, parents first; none when there is no such path.
    pub async fn tree(&self, path: &XenStorePath) -> Result<Option<Vec<Entry>>, Error> {
        let printed = self
            .ask("xenstore-ls", &["-f", path.as_str()], "No such file or directory")
            .await?;
        printed
            .map(|printed| parse_tree(&printed))
            .transpose()
            .map_err(|source| self.odd(source))
    }

    /// Writes a value of at most 2048 bytes, and makes the folders above it.
    pub async fn write(&self, path: &XenStorePath, value: &[u8]) -> Result<(), Error> {
        if value.len() > LARGEST {
            return Err(self.odd(XenError::ValueSize {
                path: path.clone(),
                size: value.len(),
            }));
        }
        let write = Command::new("xenstore-write")
            .arg("--")
            .arg(path.as_str())
            .arg(escape(value));
        self.dom0.run(&write).await.map(drop)
    }

    /// Removes a path and what is below it, if it is there.
    pub async fn remove(&self, path: &XenStorePath) -> Result<(), Error> {
        let remove = Command::new("xenstore-rm").arg("--").arg(path.as_str());
        match self.dom0.run(&remove).await {
            Ok(_) => Ok(()),
            // oxenstored complains of an absent path where its folder is absent as well.
            Err(Error::Failed {
                exit: Exit::Code(1), ..
            }) if self.read(path).await?.is_none() => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Tells of every change at or below a path, and once at the start.
    pub async fn watch(&self, path: &XenStorePath) -> Result<Watch, Error> {
        let command = Command::new("xenstore-watch")
            .arg("--")
            .arg(path.as_str())
            .end_with_connection();
        let mut running = self.dom0.exec(&command).await?;
        let (stdout, stderr) = (running.stdout.take(), running.stderr.take());
        Ok(Watch {
            dom0: self.dom0.clone(),
            command,
            running,
            stdout,
            stderr,
            held: Vec::new(),
        })
    }

    /// What a program prints, none when it ends with a certain complaint.
    async fn ask(&self, program: &str, words: &[&str], none: &str) -> Result<Option<Vec<u8>>, Error> {
        let (options, paths) = words.split_at(words.len().saturating_sub(1));
        let command = Command::new(program)
            .args(options)
            .arg("--")
            .args(paths)
            .limit(64 << 20);
        let output = self.dom0.output(&command).await?;
        match output.exit {
            Exit::Code(0) => Ok(Some(output.stdout.into())),
            Exit::Code(1) if output.errors().contains(none) => Ok(None),
            exit => Err(self.dom0.failed(&command, exit, &output.stderr)),
        }
    }

    fn odd(&self, source: XenError) -> Error {
        Error::Xen {
            host: self.dom0.host(),
            source,
        }
    }
}

/// Changes in xenstore as they happen. Dropping it ends the watch.
#[derive(Debug)]
pub struct Watch {
    dom0: Dom0,
    command: Command,
    running: Running,
    stdout: Option<ByteStream>,
    stderr: Option<ByteStream>,
    held: Vec<u8>,
}

impl Watch {
    /// The path of the next change. It never comes to an end by itself, only to an error.
    pub async fn next(&mut self) -> Result<Option<XenStorePath>, Error> {
        loop {
            if let Some(end) = self.held.iter().position(|&byte| byte == b'\n') {
                let line: Vec<_> = self.held.drain(..=end).collect();
                let line = &line[..end];
                let path = std::str::from_utf8(line).ok().and_then(|line| line.parse().ok());
                let path = path.ok_or_else(|| XenError::line("xenstore-watch", line));
                return path.map(Some).map_err(|source| Error::Xen {
                    host: self.dom0.host(),
                    source,
                });
            }
            let chunk = match &mut self.stdout {
                // Longer than every path.
                Some(_) if self.held.len() > 4096 => {
                    let source = XenError::line("xenstore-watch", &self.held);
                    return Err(Error::Xen {
                        host: self.dom0.host(),
                        source,
                    });
                }
                Some(stdout) => stdout.chunk().await,
                None => return Ok(None),
            };
            match chunk {
                Some(Ok(chunk)) => self.held.extend_from_slice(&chunk),
                // The exit tells more than the stream does.
                Some(Err(_)) | None => return Err(self.end().await),
            }
        }
    }

    async fn end(&mut self) -> Error {
        self.stdout = None;
        let mut said = Vec::new();
        if let Some(mut stderr) = self.stderr.take() {
            while let Some(Ok(chunk)) = stderr.chunk().await {
                said.extend_from_slice(&chunk[..chunk.len().min(4096_usize.saturating_sub(said.len()))]);
            }
        }
        match self.running.wait().await {
            Ok(exit) => self.dom0.failed(&self.command, exit, &said),
            Err(error) => error,
        }
    }
}

/// Reads what `xenstore-list` prints.
pub fn parse_list(printed: &[u8]) -> Result<Vec<String>, XenError> {
    let name = |line: &[u8]| {
        let text = std::str::from_utf8(line)
            .ok()
            .filter(|name| !name.is_empty() && !name.contains('/'));
        text.map(str::to_owned)
            .ok_or_else(|| XenError::line("xenstore-list", line))
    };
    lines(printed).map(name).collect()
}

/// Reads what `xenstore-ls -f` prints: ` = "` and `"` around every value, and a colon where there is none.
pub fn parse_tree(printed: &[u8]) -> Result<Vec<Entry>, XenError> {
    let entry = |line: &[u8]| {
        let wrong = || XenError::line("xenstore-ls", line);
        let text = std::str::from_utf8(line).map_err(|_| wrong())?;
        let (path, value) = match text.split_once(" = \"") {
            Some((path, value)) => (
                path,
                Some(unescape(value.strip_suffix('"').ok_or_else(wrong)?.as_bytes())),
            ),
            None => (text.strip_suffix(':').ok_or_else(wrong)?, None),
        };
        Ok(Entry {
            path: path.parse().map_err(|_| wrong())?,
            value,
        })
    };
    lines(printed).map(entry).collect()
}

fn lines(printed: &[u8]) -> impl Iterator<Item = &[u8]> {
    printed.split(|&byte| byte == b'\n').filter(|line| !line.is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_tree() {
        let printed = b"/local/domain/1/name = \"du1\"\n/local/domain/1/data = \"\"\n\
            /local/domain/1/data/x = \"say \"hi\" = \"\\n\"\n/local/domain/1/secret:\n";
        let entries = parse_tree(printed).unwrap();
        let values: Vec<_> = entries.iter().map(|entry| entry.value.as_deref()).collect();
        assert_eq!(values, [Some(&b"du1"[..]), Some(b""), Some(b"say \"hi\" = \"\n"), None]);
        assert_eq!(entries[3].path.as_str(), "/local/domain/1/secret");
        assert!(parse_tree(b"/a = \"b\n").is_err());
        assert!(parse_tree(b"nonsense\n").is_err());
    }

    #[test]
    fn a_list() {
        assert_eq!(parse_list(b"0\n7\n").unwrap(), ["0", "7"]);
        assert_eq!(parse_list(b"").unwrap(), [""; 0]);
        assert!(parse_list(b"a/b\n").is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_break_them(printed: Vec<u8>) {
            let _ = (parse_list(&printed), parse_tree(&printed), unescape(&printed));
        }
    }
}
