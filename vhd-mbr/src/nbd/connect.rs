//! From an address to a server that takes options.

use std::time::Duration;

use rustls::pki_types::ServerName;

use super::negotiation::Negotiation;
use super::session::Session;
use super::socket::{Socket, Stream};
use super::target::{Address, Security};
use super::{Error, Export, ExportName, Target, Trust};

/// How long [`list`] and [`info`] bear silence.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) type Connection = Session<Stream>;

/// Connects, agrees on everything and opens the disk. `greeting` is how long the server may take at first, `patience` how
/// long later.
pub(super) fn open(target: &Target, greeting: Duration, patience: Duration, holes: bool) -> Result<Connection, Error> {
    let mut connection = Session::agree(begin(target, greeting)?, &target.export, holes)?;
    let prepared = connection.stream_mut().set_patience(patience);
    prepared.map_err(|source| Error::Connect {
        address: target.address(),
        source,
    })?;
    Ok(connection)
}

/// The names of the exports that a server lists, whichever `target` names. Many servers list none.
///
/// # Errors
/// Where the server cannot be reached or refuses.
pub fn list(target: &Target) -> Result<Vec<ExportName>, Error> {
    let mut server = begin(target, PATIENCE)?;
    let exports = server.list()?;
    server.leave();
    Ok(exports)
}

/// What a server says of an export.
///
/// # Errors
/// Where the server cannot be reached or does not give the export.
pub fn info(target: &Target) -> Result<Export, Error> {
    let mut server = begin(target, PATIENCE)?;
    match server.info(&target.export)? {
        Some(export) => {
            server.leave();
            Ok(export)
        }
        // Who does not know the question tells it with the disk.
        None => Ok(Session::agree(server, &target.export, false)?.export()),
    }
}

fn begin(target: &Target, patience: Duration) -> Result<Negotiation<Stream>, Error> {
    if matches!(target.security, Security::Undecided) {
        return Err(Error::NoTrust);
    }
    let mut server = Negotiation::begin(Socket::connect(&target.address, patience)?)?;
    let (trust, or_plain) = match &target.security {
        Security::Plain | Security::Undecided => return server.over(|socket| Ok(Stream::Plain(socket))),
        Security::Tls(trust) => (trust, false),
        Security::TlsIfOffered(trust) => (trust, true),
    };
    match server.start_tls() {
        Ok(()) => server.over(|socket| Stream::tls(socket, trust, name(target, trust)?)),
        Err(Error::TlsRefused { .. }) if or_plain => server.over(|socket| Ok(Stream::Plain(socket))),
        Err(error) => Err(error),
    }
}

/// The name for the certificate. A pin needs none, so that one which is no name does no harm.
fn name(target: &Target, trust: &Trust) -> Result<ServerName<'static>, Error> {
    let name = match (&target.server_name, &target.address) {
        (Some(name), _) => name.as_str(),
        (None, Address::Tcp { host, .. }) => host,
        (None, Address::Unix(_)) => "localhost",
    };
    match ServerName::try_from(name.to_owned()) {
        Ok(name) => Ok(name),
        Err(_) if trust.is_pinned() => Ok(ServerName::IpAddress(std::net::Ipv4Addr::UNSPECIFIED.into())),
        Err(error) => Err(Error::Tls {
            source: std::io::Error::new(std::io::ErrorKind::InvalidInput, error),
        }),
    }
}
