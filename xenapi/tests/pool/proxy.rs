//! A network that breaks at random bytes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use xenapi::Client;
use xenapi_sim::Simulator;

/// Passes bytes on to a server, and resets connections after random numbers of them.
pub(crate) struct Proxy {
    address: String,
    wire: Arc<Wire>,
}

/// What a proxy does to connections, and has done.
#[derive(Debug)]
struct Wire {
    /// No connection carries as many bytes as this, to the server and from it.
    limits: (u64, u64),
    is_breaking: AtomicBool,
    breaks: AtomicU64,
    /// How many connections broke whose last request was a login.
    broken_logins: AtomicU64,
}

impl Proxy {
    pub(crate) async fn before(url: &str, limits: (u64, u64)) -> Self {
        let server = url.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let wire = Arc::new(Wire {
            limits,
            is_breaking: false.into(),
            breaks: 0.into(),
            broken_logins: 0.into(),
        });
        let shared = wire.clone();
        tokio::spawn(async move {
            let mut random = Random(7);
            while let Ok((client, _)) = listener.accept().await {
                let budgets = (random.below(shared.limits.0), random.below(shared.limits.1));
                let (server, wire) = (server.clone(), shared.clone());
                tokio::spawn(async move { pass(client, &server, budgets, &wire).await });
            }
        });
        Self { address, wire }
    }

    pub(crate) fn break_connections(&self, wanted: bool) {
        self.wire.is_breaking.store(wanted, Ordering::Relaxed);
    }

    pub(crate) fn breaks(&self) -> u64 {
        self.wire.breaks.load(Ordering::Relaxed)
    }

    pub(crate) fn broken_logins(&self) -> u64 {
        self.wire.broken_logins.load(Ordering::Relaxed)
    }

    /// A client that reaches the pool's one host through the proxy, also where it looks for other hosts.
    pub(crate) async fn client(&self, simulator: &Simulator) -> Client {
        simulator.set("host", &simulator.refs("host")[0], "address", &*self.address);
        Client::connect(format!("http://{}", self.address))
            .concurrency(256)
            .login("root", "xensource")
            .await
            .unwrap()
    }
}

async fn pass(client: TcpStream, server: &str, budgets: (u64, u64), wire: &Wire) {
    let Ok(server) = TcpStream::connect(server).await else {
        return;
    };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let is_login = AtomicBool::new(false);
    let look = |bytes: &[u8]| {
        const LOGIN: &[u8] = b"session.login_with_password";
        if bytes.starts_with(b"POST ") {
            is_login.store(bytes.windows(LOGIN.len()).any(|part| part == LOGIN), Ordering::Relaxed);
        }
    };
    let up = limited(&mut from_client, &mut to_server, budgets.0, wire, look);
    let down = limited(&mut from_server, &mut to_client, budgets.1, wire, |_| ());
    let is_broken = tokio::select! {
        is_broken = up => is_broken,
        is_broken = down => is_broken,
    };
    if is_broken {
        wire.breaks.fetch_add(1, Ordering::Relaxed);
        wire.broken_logins
            .fetch_add(is_login.into_inner().into(), Ordering::Relaxed);
        let _ = to_client.as_ref().set_zero_linger();
        let _ = to_server.as_ref().set_zero_linger();
    }
}

/// Copies bytes until the budget is used up; answers whether it was.
async fn limited(
    from: &mut (impl AsyncReadExt + Unpin),
    to: &mut (impl AsyncWriteExt + Unpin),
    budget: u64,
    wire: &Wire,
    look: impl Fn(&[u8]),
) -> bool {
    let (mut buffer, mut passed) = (vec![0; 64 << 10], 0);
    loop {
        let length = match from.read(&mut buffer).await {
            Ok(0) | Err(_) => return false,
            Ok(length) => length,
        };
        look(&buffer[..length]);
        let left = (budget.saturating_sub(passed)) as usize;
        let is_last = length > left && wire.is_breaking.load(Ordering::Relaxed);
        let length = if is_last { left } else { length };
        if to.write_all(&buffer[..length]).await.is_err() {
            return false;
        }
        if is_last {
            return true;
        }
        passed += length as u64;
    }
}

/// Splitmix: the same breaks in each run, as far as the scheduler lets them.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}
