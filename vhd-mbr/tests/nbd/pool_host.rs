//! A host of a pool: TLS before anything else, then only `NBD_OPT_EXPORT_NAME`, and simple replies.
//!
//! It behaves as the `Server` module of <https://github.com/xapi-project/nbd> does, which xapi-nbd uses.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use vhd_mbr::nbd::{self, Error, Nbd, Target, Trust};

use crate::certificates::{Certificates, certificates};
use crate::fake::{
    ACK, EXPORT_NAME, FIXED_NEWSTYLE, HAS_FLAGS, LIST, POLICY, READ_ONLY, START_TLS, TLS_REQUIRED, UNSUPPORTED,
    greeting, listen, number, option, reply, request, simple,
};
use crate::reading::{assert_reads, connections};
use crate::servers::content;

const EXPORT: &str = "/disk?session_id=OpaqueRef:secret";
const EINVAL: u32 = 22;

fn host(certificates: &Certificates, disk: Arc<Vec<u8>>) -> Target {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = PrivatePkcs8KeyDer::from(certificates.key.serialize_der());
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificates.server_der.clone()], key.into())
        .unwrap();
    let config = Arc::new(config);
    listen(move |_, client| serve(client, &config, &disk))
}

fn serve(mut client: TcpStream, config: &Arc<ServerConfig>, disk: &[u8]) -> io::Result<()> {
    client.set_nodelay(true)?;
    client.write_all(&greeting(FIXED_NEWSTYLE))?;
    assert_eq!(number(&mut client)?, u32::from(FIXED_NEWSTYLE));
    loop {
        match option(&mut client)?.0 {
            START_TLS => break,
            EXPORT_NAME => return Ok(()),
            other => client.write_all(&reply(other, TLS_REQUIRED, b""))?,
        }
    }
    client.write_all(&reply(START_TLS, ACK, b""))?;
    let tls = ServerConnection::new(config.clone()).unwrap();
    let mut client = StreamOwned::new(tls, client);
    loop {
        let (choice, data) = option(&mut client)?;
        match choice {
            EXPORT_NAME if data == EXPORT.as_bytes() => break,
            EXPORT_NAME => return Ok(()),
            LIST => client.write_all(&reply(LIST, POLICY, b""))?,
            other => client.write_all(&reply(other, UNSUPPORTED, b""))?,
        }
        client.flush()?;
    }
    let mut export = (disk.len() as u64).to_be_bytes().to_vec();
    export.extend((HAS_FLAGS | READ_ONLY).to_be_bytes());
    export.resize(134, 0);
    client.write_all(&export)?;
    transmit(&mut client, disk)
}

fn transmit(client: &mut (impl Read + Write), disk: &[u8]) -> io::Result<()> {
    client.flush()?;
    loop {
        let request = request(client)?;
        let is_whole = request.offset % 512 == 0 && request.length % 512 == 0;
        if request.command != 0 || !is_whole {
            client.write_all(&simple(request.cookie, EINVAL, b""))?;
            return client.flush();
        }
        let data = &disk[request.offset as usize..][..request.length as usize];
        client.write_all(&simple(request.cookie, 0, data))?;
        client.flush()?;
    }
}

#[test]
fn the_disk_of_a_pool_is_read() {
    let certificates = certificates("host.example");
    let disk = Arc::new(content(1, 9 << 20));
    let target = host(&certificates, disk.clone());
    let trust = Trust::pinned(&certificates.server).unwrap();
    let target = target.trust(trust).server_name("host.example");
    for count in [1, 3] {
        let nbd = Nbd::options().connections(connections(count)).connect(&target).unwrap();
        assert!(nbd.export().is_read_only());
        assert!(!nbd.knows_holes());
        assert_reads(&nbd, &disk);
    }
    assert_eq!(nbd::info(&target).unwrap().size(), 9 << 20);
    let error = nbd::list(&target).unwrap_err().to_string();
    assert_eq!(
        error,
        "the NBD server refused NBD_OPT_LIST: its configuration forbids it"
    );
}

#[test]
fn without_tls_the_secret_is_not_even_sent() {
    let target = host(&certificates("host.example"), Arc::default());
    let error = Nbd::connect(&target).unwrap_err();
    assert!(matches!(error, Error::TlsRequired), "{error:?}");
}

#[test]
fn an_ended_session_is_named_as_a_cause() {
    let certificates = certificates("host.example");
    let target = host(&certificates, Arc::default());
    let port = target.address().rsplit_once(':').unwrap().1.parse().unwrap();
    let trust = Trust::pinned(&certificates.server).unwrap();
    let target = Target::tcp("127.0.0.1", port, "/disk?session_id=OpaqueRef:ended").trust(trust);
    let error = Nbd::connect(&target).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the NBD server does not give the export /disk?…: it closed the connection; the disk may be gone, or the \
         session may have ended"
    );
    assert!(!format!("{error:?} {target:?}").contains("OpaqueRef"));
}
