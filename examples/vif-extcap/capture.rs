//! A capture for Wireshark.

use std::sync::Arc;

use anyhow::Context;
use pcap_tap::extcap;
use pcap_tap::live::{Sink, Tap};

use crate::answers::{ANY, NIC, SNAPLEN};
use crate::hosts::Hosts;

/// Captures until Wireshark has seen enough, which it says by SIGTERM or by closing the FIFO.
pub(crate) async fn capture(request: &extcap::Capture) -> anyhow::Result<()> {
    let chosen = match request.interface == ANY {
        true => request
            .options
            .get(NIC)
            .context("no NIC is chosen: do so in the interface's options")?,
        false => &request.interface,
    };
    let (uuid, nic) = parsed(chosen).with_context(|| format!("{chosen:?} is no interface of this program"))?;
    let finder = Arc::new(Hosts::read()?.finder());
    let (dom0, vm) = finder.find(uuid).await?;
    let mut tap = Tap::new(&dom0).nic(&vm, nic).filter(&request.filter).locate(move |vm| {
        let finder = finder.clone();
        async move {
            let found = finder.find(&vm.uuid?).await;
            found.ok().map(|(dom0, _)| dom0)
        }
    });
    if let Some(bytes) = request.options.get(SNAPLEN) {
        let bytes = bytes
            .parse()
            .with_context(|| format!("{bytes:?} is no number of bytes"))?;
        tap = tap.snapshot_length(bytes);
    }
    let mut capture = tap.start(Sink::fifo(&request.fifo)).await?;
    let outcome = tokio::select! {
        () = asked_to_end() => None,
        outcome = capture.wait() => Some(outcome),
    };
    let outcome = match outcome {
        Some(outcome) => outcome,
        None => capture.stop().await,
    };
    match outcome {
        Err(error) if !error.is_reader_gone() => Err(error.into()),
        _ => Ok(()),
    }
}

/// `vif:UUID:NUMBER`.
fn parsed(interface: &str) -> Option<(&str, u32)> {
    let (uuid, number) = interface.strip_prefix("vif:")?.rsplit_once(':')?;
    Some((uuid, number.parse().ok()?))
}

#[cfg(unix)]
async fn asked_to_end() {
    use tokio::signal::unix::{SignalKind, signal};

    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => tokio::select! {
            _ = terminate.recv() => {}
            Ok(()) = tokio::signal::ctrl_c() => {}
        },
        Err(_) => std::future::pending().await,
    }
}

#[cfg(not(unix))]
async fn asked_to_end() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending().await
    }
}
