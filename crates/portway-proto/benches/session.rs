//! The core alone: time per message and bytes per second. `benches/instructions` counts instead.
#![allow(missing_docs, reason = "the macros make functions")]
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

#[path = "cases.rs"]
mod cases;

use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};

fn session(c: &mut Criterion) {
    for mut case in cases::cases(Instant::now()) {
        let (path, rest) = case.name.split_once('/').expect("path/side/form/size");
        let mut group = c.benchmark_group(path);
        // A run is a batch of messages: the rate in elements is that of messages.
        group.throughput(Throughput::ElementsAndBytes {
            elements: case.messages as u64,
            bytes: case.bytes as u64,
        });
        group.bench_function(rest, |b| b.iter(&mut case.run));
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .sample_size(30);
    targets = session
}
criterion_main!(benches);
