//! The way of an archive from the server to its target.

use std::time::Duration;

use anyhow::bail;
use futures_util::StreamExt;
use xenapi::Download;
use xenapi_examples::{Inspection, Meter};
use xva::{Summary, Verify};

use crate::target::Target;

/// How long the server may take to say why its archive is damaged.
const EXPLANATION_LIMIT: Duration = Duration::from_secs(5);

/// Writes an export to its target and checks it on the way. Succeeds only where the server's task did, and the archive
/// is complete and undamaged.
pub(crate) async fn copy(export: &mut Download, target: &mut Target, meter: &Meter) -> anyhow::Result<Summary> {
    let mut inspection = Inspection::begin(Verify::Strict);
    let mut has_seen_enough = false;
    while let Some(piece) = export.next().await {
        let piece = piece?;
        target.write(&piece).await?;
        has_seen_enough = !inspection.show(&piece).await;
        if has_seen_enough {
            break;
        }
        meter.set(inspection.disk_bytes());
    }
    match inspection.finish().await {
        Err(damage) if has_seen_enough => Err(last_word(export).await.unwrap_or(damage)),
        Ok(_) if has_seen_enough => bail!("the server sent more than an archive"),
        verdict => verdict,
    }
}

/// What the server says of an export that looks damaged, if it says something: it knows better.
async fn last_word(export: &mut Download) -> Option<anyhow::Error> {
    let failure = async {
        while let Some(piece) = export.next().await {
            if let Err(error) = piece {
                return Some(error.into());
            }
        }
        None
    };
    tokio::time::timeout(EXPLANATION_LIMIT, failure).await.ok().flatten()
}
