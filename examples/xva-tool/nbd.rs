//! A server of the network block device protocol: read-only, any number of clients.
//!
//! <https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md>

use std::io::{self, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use xva::ReadAt;

/// A disk under a name.
pub(crate) struct Export {
    name: String,
    size: u64,
    disk: Box<dyn ReadAt + Send + Sync>,
}

impl Export {
    pub(crate) fn new(name: &str, disk: impl ReadAt + Send + Sync + 'static) -> io::Result<Self> {
        Ok(Self {
            name: name.to_owned(),
            size: disk.size()?,
            disk: Box::new(disk),
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

const OPTION_MAGIC: u64 = 0x4948_4156_454f_5054;
const REPLY_MAGIC: u64 = 0x0003_e889_0455_65a9;
const REQUEST_MAGIC: u32 = 0x2560_9513;
const SIMPLE_REPLY_MAGIC: u32 = 0x6744_6698;

/// What the server says of itself: it keeps to the rules for options, and needs no padding.
const FIXED_NEWSTYLE: u16 = 1;
const NO_ZEROES: u16 = 2;
/// What it says of a disk: these flags are there, it is read-only, and several connections see the same.
const EXPORT_FLAGS: u16 = 1 | 2 | 1 << 8;

const EXPORT_NAME: u32 = 1;
const ABORT: u32 = 2;
const LIST: u32 = 3;
const INFO: u32 = 6;
const GO: u32 = 7;

const ACK: u32 = 1;
const SERVER: u32 = 2;
const INFO_REPLY: u32 = 3;
const UNSUPPORTED: u32 = 1 << 31 | 1;
const INVALID: u32 = 1 << 31 | 3;
const UNKNOWN: u32 = 1 << 31 | 6;

const READ: u16 = 0;
const WRITE: u16 = 1;
const DISCONNECT: u16 = 2;
const FLUSH: u16 = 3;

const EPERM: u32 = 1;
const EIO: u32 = 5;
const EINVAL: u32 = 22;

/// The longest read that is answered, in bytes, and the longest option that is read.
const MOST: u32 = 32 << 20;
const LONGEST_OPTION: u32 = 8 << 10;

/// Answers every client in a thread of its own.
pub(crate) fn serve(listener: &TcpListener, exports: &[Export]) -> anyhow::Result<()> {
    thread::scope(|scope| {
        loop {
            let (client, _) = listener.accept()?;
            // A client that goes away is no failure, and one that breaks the rules only loses its connection.
            scope.spawn(move || Client::new(client).and_then(|mut client| client.run(exports)));
        }
    })
}

struct Client {
    input: BufReader<TcpStream>,
    output: TcpStream,
}

fn broken(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

impl Client {
    fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self {
            output: stream.try_clone()?,
            input: BufReader::new(stream),
        })
    }

    fn run(&mut self, exports: &[Export]) -> io::Result<()> {
        let mut greeting = b"NBDMAGIC".to_vec();
        greeting.extend(OPTION_MAGIC.to_be_bytes());
        greeting.extend((FIXED_NEWSTYLE | NO_ZEROES).to_be_bytes());
        self.output.write_all(&greeting)?;
        let no_zeroes = self.number()? & u32::from(NO_ZEROES) != 0;
        while let Some(chosen) = self.option(exports, no_zeroes)? {
            if let Some(export) = chosen {
                return self.transmit(export);
            }
        }
        Ok(())
    }

    /// Answers one option; the export where the client has chosen one, none where it has left.
    fn option<'a>(&mut self, exports: &'a [Export], no_zeroes: bool) -> io::Result<Option<Option<&'a Export>>> {
        if self.take::<8>()? != OPTION_MAGIC.to_be_bytes() {
            return Err(broken("no option"));
        }
        let (option, length) = (self.number()?, self.number()?);
        if length > LONGEST_OPTION {
            return Err(broken("an option that is too long"));
        }
        let mut data = vec![0; length as usize];
        self.input.read_exact(&mut data)?;
        let named = |name: &[u8]| {
            exports
                .iter()
                .find(|export| export.name.as_bytes() == name || name.is_empty())
        };
        match option {
            EXPORT_NAME => {
                let export = named(&data).ok_or_else(|| broken("no such export"))?;
                let mut answer = export.size.to_be_bytes().to_vec();
                answer.extend(EXPORT_FLAGS.to_be_bytes());
                answer.resize(if no_zeroes { 10 } else { 134 }, 0);
                self.output.write_all(&answer)?;
                return Ok(Some(Some(export)));
            }
            ABORT => {
                self.reply(option, ACK, b"")?;
                return Ok(None);
            }
            LIST => {
                for export in exports {
                    let name = export.name.as_bytes();
                    let length = (name.len() as u32).to_be_bytes();
                    self.reply(option, SERVER, &[&length[..], name].concat())?;
                }
                self.reply(option, ACK, b"")?;
            }
            INFO | GO => {
                let name = data
                    .split_first_chunk::<4>()
                    .and_then(|(length, rest)| rest.get(..u32::from_be_bytes(*length) as usize));
                match name.map(named) {
                    None => self.reply(option, INVALID, b"")?,
                    Some(None) => self.reply(option, UNKNOWN, b"")?,
                    Some(Some(export)) => {
                        let mut answer = vec![0, 0];
                        answer.extend(export.size.to_be_bytes());
                        answer.extend(EXPORT_FLAGS.to_be_bytes());
                        self.reply(option, INFO_REPLY, &answer)?;
                        self.reply(option, ACK, b"")?;
                        if option == GO {
                            return Ok(Some(Some(export)));
                        }
                    }
                }
            }
            _ => self.reply(option, UNSUPPORTED, b"")?,
        }
        Ok(Some(None))
    }

    fn reply(&mut self, option: u32, kind: u32, data: &[u8]) -> io::Result<()> {
        let mut reply = REPLY_MAGIC.to_be_bytes().to_vec();
        for number in [option, kind, data.len() as u32] {
            reply.extend(number.to_be_bytes());
        }
        reply.extend(data);
        self.output.write_all(&reply)
    }

    /// Answers requests until the client leaves.
    fn transmit(&mut self, export: &Export) -> io::Result<()> {
        let mut reply = Vec::new();
        loop {
            if self.number()? != REQUEST_MAGIC {
                return Err(broken("no request"));
            }
            let [_, _, kind @ ..] = self.take::<4>()?;
            let cookie = self.take::<8>()?;
            let offset = u64::from_be_bytes(self.take()?);
            let length = self.number()?;
            reply.clear();
            reply.extend(SIMPLE_REPLY_MAGIC.to_be_bytes());
            reply.extend([0; 4]);
            reply.extend(cookie);
            let error = match u16::from_be_bytes(kind) {
                READ if length > MOST => EINVAL,
                READ => {
                    let start = reply.len();
                    reply.resize(start + length as usize, 0);
                    match export.disk.read_exact_at(offset, &mut reply[start..]) {
                        Ok(()) => 0,
                        Err(error) => {
                            reply.truncate(start);
                            if error.kind() == io::ErrorKind::UnexpectedEof {
                                EINVAL
                            } else {
                                EIO
                            }
                        }
                    }
                }
                WRITE => {
                    io::copy(&mut (&mut self.input).take(length.into()), &mut io::sink())?;
                    EPERM
                }
                FLUSH => 0,
                DISCONNECT => return Ok(()),
                _ => EINVAL,
            };
            reply[4..8].copy_from_slice(&error.to_be_bytes());
            self.output.write_all(&reply)?;
        }
    }

    fn number(&mut self) -> io::Result<u32> {
        Ok(u32::from_be_bytes(self.take()?))
    }

    fn take<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.input.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}
