//! Any document of metrics: no panic, no hang, a short error, and series in the order of time.
#![no_main]

use libfuzzer_sys::fuzz_target;
use xenapi::metrics::{Rrd, Updates};

fuzz_target!(|document: &[u8]| {
    match Updates::parse(document) {
        Ok(updates) => {
            for series in &updates.series {
                assert!(series.points.is_sorted_by_key(|point| point.time));
                let _ = (
                    series.source.kind(),
                    series.source.unit(),
                    series.latest(),
                    series.mean(),
                );
            }
        }
        Err(error) => assert!(error.to_string().len() < 4096),
    }
    match Rrd::parse(document) {
        Ok(rrd) => {
            for (archive, known) in rrd.archives.iter().zip(rrd.sources.iter()) {
                assert_eq!(archive.points(known.source.name()).count(), archive.rows());
            }
        }
        Err(error) => assert!(error.to_string().len() < 4096),
    }
});
