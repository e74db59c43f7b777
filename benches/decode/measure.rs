//! Time by Criterion, memory by the counting allocator.

use std::hint::black_box;
use std::path::PathBuf;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput};

use crate::HEAP;
use crate::table::Row;

/// Measures decoders on replies of one size.
pub(crate) struct Bench {
    criterion: Criterion,
    output: PathBuf,
    records: usize,
}

impl Bench {
    pub(crate) fn new(records: usize, quick: bool) -> Self {
        let output = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("decode");
        let (warm_up, time) = if quick { (50, 200) } else { (1_000, 5_000) };
        let criterion = Criterion::default()
            .output_directory(&output)
            .sample_size(10)
            .warm_up_time(Duration::from_millis(warm_up))
            .measurement_time(Duration::from_millis(time))
            .without_plots();
        Self {
            criterion,
            output,
            records,
        }
    }

    /// Measures one decoder. Dropping what it made is not part of the time.
    pub(crate) fn run<T>(
        &mut self,
        encoding: &'static str,
        decoder: &'static str,
        body: &[u8],
        decode: impl Fn() -> T,
    ) -> Row {
        let before = HEAP.current_usage();
        HEAP.reset_peak_usage();
        drop(black_box(decode()));
        let peak_bytes = HEAP.peak_usage().saturating_sub(before);

        let id = format!("{decoder} {}", self.records);
        let mut group = self.criterion.benchmark_group(encoding);
        // The results of a sample are all kept until its end, and they are large.
        group.sampling_mode(SamplingMode::Flat);
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function(BenchmarkId::from_parameter(&id), |bencher| {
            bencher.iter_with_large_drop(&decode)
        });
        group.finish();
        let median = self.median(encoding, &id);
        Row {
            encoding,
            decoder,
            seconds: median,
            peak_bytes,
        }
    }

    /// Criterion tells its results only in its files.
    fn median(&self, encoding: &str, id: &str) -> f64 {
        let file = self.output.join(encoding).join(id).join("new/estimates.json");
        let text = std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let estimates: serde_json::Value = serde_json::from_slice(&text).expect("Criterion writes JSON");
        estimates["median"]["point_estimate"]
            .as_f64()
            .expect("Criterion writes the median")
            / 1e9
    }
}
