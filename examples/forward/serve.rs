//! A local port, and who comes to it.

use std::sync::Arc;
use std::time::Duration;

use dom0::Target;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use xenapi::Client;
use xenapi_examples::{Chosen, Sessions, note};

use crate::guest::Place;

/// Connections at a time through one port; further ones wait to be accepted.
const MOST_CONNECTIONS: usize = 64;

/// The way to one port of one guest.
#[derive(Clone)]
pub(crate) struct Way {
    client: Client,
    hosts: Sessions,
    chosen: Chosen,
    port: u16,
}

impl Way {
    pub(crate) fn new(client: Client, hosts: Sessions, chosen: Chosen, port: u16) -> Self {
        Self {
            client,
            hosts,
            chosen,
            port,
        }
    }

    /// As it was asked for.
    pub(crate) fn name(&self) -> String {
        format!("{}:{}", self.chosen.record.name_label, self.port)
    }

    /// Where it leads at the moment.
    pub(crate) async fn place(&self) -> anyhow::Result<Place> {
        Place::look_up(&self.client, self.chosen.vm, self.port).await
    }

    async fn carry(&self, mut socket: TcpStream) -> anyhow::Result<()> {
        let place = self.place().await?;
        let target = Target::tcp(place.guest.to_string(), place.port);
        let mut stream = self.hosts.open(&place.host, &target).await?;
        // Keystrokes go at once; where the system does not have it, they come later.
        let _ = socket.set_nodelay(true);
        tokio::io::copy_bidirectional(&mut socket, &mut stream).await?;
        Ok(())
    }
}

/// Carries whoever connects. One who cannot be carried is told on standard error, and holds up no other.
pub(crate) async fn serve(listener: TcpListener, way: Way) {
    let permits = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let mut carried = JoinSet::new();
    while let Ok(permit) = permits.clone().acquire_owned().await {
        let socket = match listener.accept().await {
            Ok((socket, _)) => socket,
            Err(error) => {
                note(format!("{}: {error}", way.name()));
                // Out of descriptors: others may close some.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let way = way.clone();
        carried.spawn(async move {
            if let Err(error) = way.carry(socket).await {
                note(format!("{}: {error:#}", way.name()));
            }
            drop(permit);
        });
        while carried.try_join_next().is_some() {}
    }
}
