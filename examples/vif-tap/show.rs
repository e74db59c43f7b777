//! How far the capture has come.

use std::io::{self, IsTerminal as _};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use pcap_tap::live::{Gauge, Progress};
use vhd_mbr::Size;
use xenapi_examples::note;

/// On a terminal a line that is kept up to date; elsewhere a line whenever devices come and go.
pub(crate) struct Show {
    gauge: Gauge,
    line: Option<ProgressBar>,
    begun: Instant,
}

impl Show {
    pub(crate) fn new(gauge: Gauge) -> Self {
        let line = io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{spinner} {msg}");
            ProgressBar::new_spinner().with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
        });
        Self {
            gauge,
            line,
            begun: Instant::now(),
        }
    }

    /// Shows it; never ends.
    pub(crate) async fn forever(&self) {
        const INTERVAL: Duration = Duration::from_millis(500);
        let mut before = Progress::default();
        loop {
            let now = self.gauge.progress();
            match &self.line {
                Some(line) => {
                    let rate = |count: u64| count as f64 / INTERVAL.as_secs_f64();
                    let bytes = rate(now.bytes.saturating_sub(before.bytes)) as u64;
                    let packets = rate(now.packets.saturating_sub(before.packets));
                    line.set_message(format!("{}, {packets:.0}/s, {}/s", counted(&now), Size(bytes)));
                    line.tick();
                }
                None if (now.attached, now.interfaces) != (before.attached, before.interfaces) => note(counted(&now)),
                None => {}
            }
            before = now;
            tokio::time::sleep(INTERVAL).await;
        }
    }

    /// Says how it ended.
    pub(crate) fn end(&self) {
        if let Some(line) = &self.line {
            line.finish_and_clear();
        }
        let end = self.gauge.progress();
        let seconds = self.begun.elapsed().as_secs_f32();
        note(format!(
            "{} packets, {}, in {seconds:.1} s at {} devices; {} packets were lost at the host.",
            end.packets,
            Size(end.bytes),
            end.interfaces,
            end.dropped
        ));
    }
}

fn counted(progress: &Progress) -> String {
    let devices = match progress.attached {
        0 => "waiting for a device".to_owned(),
        1 => "1 device".to_owned(),
        count => format!("{count} devices"),
    };
    format!("{devices}, {} packets, {} lost", progress.packets, progress.dropped)
}
