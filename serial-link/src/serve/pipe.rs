use std::io;

use tokio::net::windows::named_pipe::ServerOptions;
use tokio::task::JoinSet;

use super::Session;
use crate::bridge::Bridge;

/// Serves whoever opens a named pipe, until the future is dropped: `\\.\pipe\NAME`, for WinDbg's
/// `com:pipe,port=\\.\pipe\NAME,resets=0,reconnect`. Only this machine gets at it.
pub async fn pipe(bridge: &Bridge, name: &str, session: &Session) -> io::Result<()> {
    let mut served = JoinSet::new();
    let mut next = ServerOptions::new()
        .first_pipe_instance(true)
        .reject_remote_clients(true)
        .create(name)?;
    loop {
        next.connect().await?;
        // Before this one is served, so that there is always one to open.
        let following = ServerOptions::new().reject_remote_clients(true).create(name)?;
        let stream = std::mem::replace(&mut next, following);
        while served.try_join_next().is_some() {}
        let (bridge, session, name) = (bridge.clone(), session.clone(), name.to_owned());
        served.spawn(async move { session.run(&bridge, &name, stream).await });
    }
}
