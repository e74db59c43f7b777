//! Sockets, plain and with TLS.

use std::io::{self, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
#[cfg(unix)]
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConnection, StreamOwned};

use super::target::Address;
use super::{Error, Trust};

/// How much ciphertext is read at once: rustls itself asks for little at a time.
const TLS_BUFFER: usize = 128 << 10;

/// A stream that fails when the other end is silent for too long.
#[derive(Debug)]
pub(super) struct Socket {
    stream: Bare,
    patience: Duration,
}

#[derive(Debug)]
enum Bare {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

impl Socket {
    pub(super) fn connect(address: &Address, patience: Duration) -> Result<Self, Error> {
        let stream = match address {
            Address::Tcp { host, port } => tcp(host, *port, patience).map(Bare::Tcp),
            #[cfg(unix)]
            Address::Unix(path) => UnixStream::connect(path).map(Bare::Unix),
            #[cfg(not(unix))]
            Address::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
        };
        let socket = stream.and_then(|stream| Self { stream, patience }.prepared());
        socket.map_err(|source| Error::Connect {
            address: address.to_string(),
            source,
        })
    }

    fn prepared(mut self) -> io::Result<Self> {
        if let Bare::Tcp(stream) = &self.stream {
            stream.set_nodelay(true)?;
        }
        self.set_patience(self.patience)?;
        Ok(self)
    }

    /// How long silence is borne.
    pub(super) fn set_patience(&mut self, patience: Duration) -> io::Result<()> {
        self.patience = patience;
        match &self.stream {
            Bare::Tcp(stream) => {
                stream.set_read_timeout(Some(patience))?;
                stream.set_write_timeout(Some(patience))
            }
            #[cfg(unix)]
            Bare::Unix(stream) => {
                stream.set_read_timeout(Some(patience))?;
                stream.set_write_timeout(Some(patience))
            }
        }
    }

    fn explained(&self, error: io::Error) -> io::Error {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                let silence = format!("the server was silent for {:?}", self.patience);
                io::Error::new(io::ErrorKind::TimedOut, silence)
            }
            _ => error,
        }
    }
}

fn tcp(host: &str, port: u16, patience: Duration) -> io::Result<TcpStream> {
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, patience) {
            Ok(stream) => return Ok(stream),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

impl Read for Socket {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let outcome = match &mut self.stream {
            Bare::Tcp(stream) => stream.read(buf),
            #[cfg(unix)]
            Bare::Unix(stream) => stream.read(buf),
        };
        outcome.map_err(|error| self.explained(error))
    }
}

impl Write for Socket {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let outcome = match &mut self.stream {
            Bare::Tcp(stream) => stream.write(buf),
            #[cfg(unix)]
            Bare::Unix(stream) => stream.write(buf),
        };
        outcome.map_err(|error| self.explained(error))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads ahead, and writes at once.
#[derive(Debug)]
pub(super) struct Ahead(BufReader<Socket>);

impl Read for Ahead {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}

impl Write for Ahead {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.get_mut().write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.get_mut().flush()
    }
}

/// What a session with a server goes through.
#[derive(Debug)]
pub(super) enum Stream {
    Plain(Socket),
    Tls(Box<StreamOwned<ClientConnection, Ahead>>),
}

impl Stream {
    /// Makes TLS with the server at the other end, which has just agreed to it.
    pub(super) fn tls(socket: Socket, trust: &Trust, name: ServerName<'static>) -> Result<Self, Error> {
        let failed = |source: io::Error| match is_wrong_certificate(&source) {
            true => Error::WrongCertificate,
            false => Error::Tls { source },
        };
        let connection = ClientConnection::new(trust.config(), name);
        let mut connection = connection.map_err(|error| failed(io::Error::other(error)))?;
        let mut ahead = Ahead(BufReader::with_capacity(TLS_BUFFER, socket));
        while connection.is_handshaking() {
            connection.complete_io(&mut ahead).map_err(failed)?;
        }
        Ok(Self::Tls(Box::new(StreamOwned::new(connection, ahead))))
    }

    pub(super) fn set_patience(&mut self, patience: Duration) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.set_patience(patience),
            Self::Tls(tls) => tls.sock.0.get_mut().set_patience(patience),
        }
    }

    /// Tells the other end of a TLS stream that it ends here.
    pub(super) fn close(&mut self) {
        if let Self::Tls(tls) = self {
            tls.conn.send_close_notify();
            let _ = tls.flush();
        }
    }
}

fn is_wrong_certificate(error: &io::Error) -> bool {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref());
    matches!(
        cause,
        Some(rustls::Error::InvalidCertificate(
            CertificateError::ApplicationVerificationFailure
        ))
    )
}

impl Read for Stream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(buf),
            Self::Tls(tls) => tls.read(buf),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(buf),
            Self::Tls(tls) => tls.write(buf),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.flush(),
            Self::Tls(tls) => tls.flush(),
        }
    }
}
