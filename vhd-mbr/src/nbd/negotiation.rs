//! From the greeting to the disk: the fixed newstyle handshake.

use std::io::{self, Read, Write};

use super::error::{Error, Refusal};
use super::protocol::{
    ALLOCATION, Choice, FIXED_NEWSTYLE, GREETING, NO_ZEROES, OLD_STYLE_MAGIC, OPTION_MAGIC, OPTION_REPLY_MAGIC, answer,
    info,
};
use super::{BlockSizes, Export, ExportName};

/// The longest answer to an option that is read, in bytes; the protocol's strings have at most 4096.
const LONGEST_ANSWER: u32 = 64 << 10;
/// The most answers to one option: a server lists no more exports.
const MOST_ANSWERS: usize = 100_000;

const GREETED: &str = "waiting for its greeting";
const NEGOTIATING: &str = "agreeing on the export";

/// A server that has greeted and takes options.
#[derive(Debug)]
pub(super) struct Negotiation<S> {
    stream: S,
    /// What both sides can do.
    flags: u16,
}

impl<S: Read + Write> Negotiation<S> {
    /// Reads the greeting and answers it.
    pub(super) fn begin(mut stream: S) -> Result<Self, Error> {
        let broken = |source| broken(GREETED, source);
        let found = array(&mut stream).map_err(broken)?;
        if found != GREETING {
            return Err(Error::NotNbd { found });
        }
        match u64::from_be_bytes(array(&mut stream).map_err(broken)?) {
            OPTION_MAGIC => {}
            OLD_STYLE_MAGIC => return Err(Error::OldStyle),
            magic => return Err(Error::protocol(GREETED, format!("{magic:#x} follows NBDMAGIC"))),
        }
        let flags = u16::from_be_bytes(array(&mut stream).map_err(broken)?) & (FIXED_NEWSTYLE | NO_ZEROES);
        stream.write_all(&u32::from(flags).to_be_bytes()).map_err(broken)?;
        Ok(Self { stream, flags })
    }

    /// The same server over another stream: TLS, which goes through the one so far.
    pub(super) fn over<T, E>(self, wrap: impl FnOnce(S) -> Result<T, E>) -> Result<Negotiation<T>, E> {
        Ok(Negotiation {
            stream: wrap(self.stream)?,
            flags: self.flags,
        })
    }

    /// Whether the server keeps to the rules for options that it does not know.
    fn is_fixed(&self) -> bool {
        self.flags & FIXED_NEWSTYLE != 0
    }

    /// Asks for TLS, whose handshake follows at once where the answer is yes.
    pub(super) fn start_tls(&mut self) -> Result<(), Error> {
        if !self.is_fixed() {
            let reason = "it is too old for it".to_owned();
            return Err(Error::TlsRefused { reason });
        }
        match self.ask(Choice::StartTls, &[], &ExportName::default(), |kind, payload| {
            Err(unexpected(Choice::StartTls, kind, payload.len()))
        })? {
            Ok(()) => Ok(()),
            Err(Refusal { reason, .. }) => Err(Error::TlsRefused { reason }),
        }
    }

    /// Agrees on replies that tell holes from data and errors from lengths.
    pub(super) fn structured_replies(&mut self) -> Result<bool, Error> {
        if !self.is_fixed() {
            return Ok(false);
        }
        let choice = Choice::StructuredReply;
        self.optional(choice, &[], &ExportName::default(), |kind, payload| {
            Err(unexpected(choice, kind, payload.len()))
        })
    }

    /// Agrees on asking where the disk has data: the number under which the server then tells it.
    pub(super) fn allocation_context(&mut self, export: &ExportName) -> Result<Option<u32>, Error> {
        let mut request = sized(export.expose().as_bytes());
        request.extend(1u32.to_be_bytes());
        request.extend(sized(ALLOCATION.as_bytes()));
        let mut context = None;
        self.optional(Choice::SetMetaContext, &request, export, |kind, payload| {
            let parts = payload.split_first_chunk::<4>();
            match parts.filter(|_| kind == answer::META_CONTEXT) {
                Some((id, name)) if name == ALLOCATION.as_bytes() => context = Some(u32::from_be_bytes(*id)),
                Some(_) => {}
                None => return Err(unexpected(Choice::SetMetaContext, kind, payload.len())),
            }
            Ok(())
        })?;
        Ok(context)
    }

    /// What the server says of an export, without opening it. `None` where it cannot tell.
    pub(super) fn info(&mut self, export: &ExportName) -> Result<Option<Export>, Error> {
        if !self.is_fixed() {
            return Ok(None);
        }
        self.describe(Choice::Info, export)
    }

    /// Opens an export, in the old way where the server does not know the new one.
    pub(super) fn open(mut self, export: &ExportName) -> Result<(S, Export), Error> {
        if self.is_fixed()
            && let Some(found) = self.describe(Choice::Go, export)?
        {
            return Ok((self.stream, found));
        }
        self.export_name(export)
    }

    /// The names of all exports, as far as the server tells them.
    pub(super) fn list(&mut self) -> Result<Vec<ExportName>, Error> {
        if !self.is_fixed() {
            let reason = "it is too old for it".to_owned();
            return Err(Error::Refused {
                option: Choice::List.name(),
                reason,
            });
        }
        let mut exports = Vec::new();
        let outcome = self.ask(Choice::List, &[], &ExportName::default(), |kind, payload| {
            let name = payload.split_first_chunk::<4>().and_then(|(length, rest)| {
                let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
                rest.get(..length)
            });
            let name = name.filter(|_| kind == answer::SERVER);
            let name = name.ok_or_else(|| unexpected(Choice::List, kind, payload.len()))?;
            exports.push(ExportName::new(String::from_utf8_lossy(name)));
            Ok(())
        })?;
        match outcome {
            Ok(()) => Ok(exports),
            Err(refusal) => Err(refused(Choice::List, refusal, &ExportName::default())),
        }
    }

    /// Takes leave of the server. It need not listen.
    pub(super) fn leave(mut self) {
        let _ = self.send(Choice::Abort, &[]);
    }

    /// `NBD_OPT_INFO` and `NBD_OPT_GO`, which differ in what comes afterwards.
    fn describe(&mut self, choice: Choice, export: &ExportName) -> Result<Option<Export>, Error> {
        let mut request = sized(export.expose().as_bytes());
        request.extend(1u16.to_be_bytes());
        request.extend(info::BLOCK_SIZE.to_be_bytes());
        let (mut found, mut blocks) = (None, BlockSizes::DEFAULT);
        let outcome = self.ask(choice, &request, export, |kind, payload| {
            let parts = payload.split_first_chunk::<2>().filter(|_| kind == answer::INFO);
            let (topic, fields) = parts.ok_or_else(|| unexpected(choice, kind, payload.len()))?;
            match u16::from_be_bytes(*topic) {
                info::EXPORT => found = Some(size_and_flags(fields)?),
                info::BLOCK_SIZE => blocks = block_sizes(fields)?,
                _ => {}
            }
            Ok(())
        })?;
        match (outcome, found) {
            (Ok(()), Some((size, flags))) => Ok(Some(Export { size, flags, blocks })),
            (Ok(()), None) => Err(Error::protocol(
                NEGOTIATING,
                "it gave an export without telling its size",
            )),
            (Err(refusal), _) if refusal.kind == answer::UNSUPPORTED => Ok(None),
            (Err(refusal), _) => Err(refused(choice, refusal, export)),
        }
    }

    /// `NBD_OPT_EXPORT_NAME`, to which a server that refuses can only hang up.
    fn export_name(mut self, export: &ExportName) -> Result<(S, Export), Error> {
        self.send(Choice::ExportName, export.expose().as_bytes())?;
        let answer = array::<10>(&mut self.stream).map_err(|source| match source.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => Error::NoExport {
                export: export.clone(),
                reason: "it closed the connection; the disk may be gone, or the session may have ended".to_owned(),
            },
            _ => broken(NEGOTIATING, source),
        })?;
        let (size, flags) = size_and_flags(&answer)?;
        if self.flags & NO_ZEROES == 0 {
            array::<124>(&mut self.stream).map_err(|source| broken(NEGOTIATING, source))?;
        }
        let blocks = BlockSizes::DEFAULT;
        Ok((self.stream, Export { size, flags, blocks }))
    }

    /// Whether the server agreed to something that it can do without.
    fn optional(
        &mut self,
        choice: Choice,
        request: &[u8],
        export: &ExportName,
        each: impl FnMut(u32, &[u8]) -> Result<(), Error>,
    ) -> Result<bool, Error> {
        match self.ask(choice, request, export, each)? {
            Ok(()) => Ok(true),
            Err(refusal) if refusal.kind == answer::TLS_REQUIRED => Err(Error::TlsRequired),
            Err(_) => Ok(false),
        }
    }

    /// Sends an option and hands over what comes before the server's yes or no.
    fn ask(
        &mut self,
        choice: Choice,
        request: &[u8],
        export: &ExportName,
        mut each: impl FnMut(u32, &[u8]) -> Result<(), Error>,
    ) -> Result<Result<(), Refusal>, Error> {
        self.send(choice, request)?;
        let mut payload = Vec::new();
        for _ in 0..MOST_ANSWERS {
            match self.answer(choice, &mut payload)? {
                answer::ACK => return Ok(Ok(())),
                kind if kind & answer::REFUSED != 0 => return Ok(Err(Refusal::new(kind, &payload, export))),
                kind => each(kind, &payload)?,
            }
        }
        let reason = format!("more than {MOST_ANSWERS} answers to {}", choice.name());
        Err(Error::protocol(NEGOTIATING, reason))
    }

    fn send(&mut self, choice: Choice, request: &[u8]) -> Result<(), Error> {
        let mut message = OPTION_MAGIC.to_be_bytes().to_vec();
        message.extend((choice as u32).to_be_bytes());
        message.extend(sized(request));
        self.stream
            .write_all(&message)
            .and_then(|()| self.stream.flush())
            .map_err(|source| broken(NEGOTIATING, source))
    }

    /// The kind of the next answer, and what it says.
    fn answer(&mut self, choice: Choice, payload: &mut Vec<u8>) -> Result<u32, Error> {
        let broken = |source| broken(NEGOTIATING, source);
        let magic = u64::from_be_bytes(array(&mut self.stream).map_err(broken)?);
        if magic != OPTION_REPLY_MAGIC {
            let reason = format!("{magic:#x} instead of an answer to {}", choice.name());
            return Err(Error::protocol(NEGOTIATING, reason));
        }
        let mut number = || array(&mut self.stream).map(u32::from_be_bytes).map_err(broken);
        let (option, kind, length) = (number()?, number()?, number()?);
        if option != choice as u32 {
            let reason = format!("an answer to option {option} instead of to {}", choice.name());
            return Err(Error::protocol(NEGOTIATING, reason));
        }
        if length > LONGEST_ANSWER {
            let reason = format!("an answer of {length} bytes to {}", choice.name());
            return Err(Error::protocol(NEGOTIATING, reason));
        }
        payload.resize(length as usize, 0);
        self.stream.read_exact(payload).map_err(broken)?;
        Ok(kind)
    }
}

pub(super) fn broken(doing: &'static str, source: io::Error) -> Error {
    Error::Broken { doing, source }
}

fn refused(choice: Choice, refusal: Refusal, export: &ExportName) -> Error {
    let reason = refusal.reason;
    match refusal.kind {
        answer::TLS_REQUIRED => Error::TlsRequired,
        answer::UNKNOWN => Error::NoExport {
            export: export.clone(),
            reason,
        },
        _ => Error::Refused {
            option: choice.name(),
            reason,
        },
    }
}

fn unexpected(choice: Choice, kind: u32, length: usize) -> Error {
    let reason = format!("{} is answered by {length} bytes of kind {kind:#x}", choice.name());
    Error::protocol(NEGOTIATING, reason)
}

fn size_and_flags(fields: &[u8]) -> Result<(u64, u16), Error> {
    let parts = fields.split_first_chunk::<8>();
    let parts =
        parts.and_then(|(size, rest)| Some((u64::from_be_bytes(*size), u16::from_be_bytes(*rest.first_chunk()?))));
    let (size, flags) = parts.ok_or_else(|| Error::protocol(NEGOTIATING, "the export's size is cut off"))?;
    if i64::try_from(size).is_err() {
        let reason = format!("a disk of {size} bytes");
        return Err(Error::protocol(NEGOTIATING, reason));
    }
    Ok((size, flags))
}

fn block_sizes(fields: &[u8]) -> Result<BlockSizes, Error> {
    let (numbers, _) = fields.as_chunks::<4>();
    let &[minimum, preferred, maximum] = numbers else {
        return Err(Error::protocol(NEGOTIATING, "the export's block sizes are cut off"));
    };
    let [minimum, preferred, maximum] = [minimum, preferred, maximum].map(u32::from_be_bytes);
    let sizes = BlockSizes {
        minimum,
        preferred,
        maximum,
    };
    sizes.checked().ok_or_else(|| {
        let reason = format!("blocks of at least {minimum}, preferably {preferred} and at most {maximum} bytes");
        Error::protocol(NEGOTIATING, reason)
    })
}

fn sized(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    [&length.to_be_bytes()[..], bytes].concat()
}

pub(super) fn array<const N: usize>(stream: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}
