//! What was measured, beside each other.

use crate::data::Replies;

/// One decoder on one reply.
pub(crate) struct Row {
    pub(crate) encoding: &'static str,
    pub(crate) decoder: &'static str,
    pub(crate) seconds: f64,
    pub(crate) peak_bytes: usize,
}

/// Prints the decoders of each encoding; the first is the one that the others are compared with.
pub(crate) fn print(replies: &Replies, rows: &[Row]) {
    for (encoding, body) in [("xml", &replies.xml), ("json", &replies.json)] {
        let megabytes = body.len() as f64 / 1e6;
        println!("\n{} VMs, {encoding}, {megabytes:.1} MB", replies.records);
        println!(
            "{:28} {:>9} {:>7} {:>10} {:>9} {:>6}",
            "decoder", "ms", "MB/s", "VMs/s", "peak MB", "times"
        );
        let rows: Vec<&Row> = rows.iter().filter(|row| row.encoding == encoding).collect();
        for row in &rows {
            println!(
                "{:28} {:9.1} {:7.0} {:10.0} {:9.1} {:6.1}",
                row.decoder,
                row.seconds * 1e3,
                megabytes / row.seconds,
                replies.records as f64 / row.seconds,
                row.peak_bytes as f64 / 1e6,
                row.seconds / rows[0].seconds,
            );
        }
    }
}
