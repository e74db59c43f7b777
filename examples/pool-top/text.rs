//! Numbers in few characters.

use std::time::Duration;

use vhd_mbr::Size;

pub(crate) fn uptime(time: Option<Duration>) -> String {
    let Some(minutes) = time.map(|time| time.as_secs() / 60) else {
        return String::new();
    };
    match (minutes / 1440, minutes / 60 % 24) {
        (0, 0) => format!("{minutes}m"),
        (0, hours) => format!("{hours}h {}m", minutes % 60),
        (days, hours) => format!("{days}d {hours}h"),
    }
}

pub(crate) fn percent(share: Option<f64>) -> String {
    share.map_or_else(String::new, |share| format!("{:.0}%", share.clamp(0.0, 100.0) * 100.0))
}

pub(crate) fn rate(bytes: Option<f64>) -> String {
    bytes.map_or_else(String::new, |bytes| format!("{}/s", Size(bytes.round() as u64)))
}

/// So much of a whole, as a bar and a number.
pub(crate) fn bar(share: f64) -> String {
    const WIDTH: usize = 12;
    let share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
    let full = (share * WIDTH as f64).round() as usize;
    format!(
        "{}{} {:>3.0}%",
        "█".repeat(full),
        "░".repeat(WIDTH - full),
        share * 100.0
    )
}

pub(crate) fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}
