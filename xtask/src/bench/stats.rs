//! Samples, and tables of them with ratios.

use crate::table;
use std::time::Duration;

pub struct Samples {
    sorted: Vec<Duration>,
}

impl Samples {
    pub fn new(mut all: Vec<Duration>) -> Self {
        all.sort_unstable();
        Self { sorted: all }
    }

    /// The nearest rank; zero for no samples.
    pub fn percentile(&self, percent: usize) -> Duration {
        let rank = (self.sorted.len() * percent).div_ceil(100).max(1);
        self.sorted.get(rank - 1).copied().unwrap_or_default()
    }

    pub fn len(&self) -> usize {
        self.sorted.len()
    }
}

/// One line per contender with its ratio to the first; smaller times are better.
pub fn print_times(title: &str, contenders: &[(&str, Samples)]) {
    let Some((_, first)) = contenders.first() else {
        return;
    };
    let ratio = |own: Duration, base: Duration| match own.as_secs_f64() {
        0.0 => String::new(),
        seconds => format!("{:.2}×", base.as_secs_f64() / seconds),
    };
    let rows: Vec<Vec<String>> = contenders
        .iter()
        .map(|(name, samples)| {
            let (median, p95) = (samples.percentile(50), samples.percentile(95));
            vec![
                (*name).to_owned(),
                samples.len().to_string(),
                milliseconds(median),
                milliseconds(p95),
                ratio(median, first.percentile(50)),
            ]
        })
        .collect();
    println!("\n{title}");
    print!("{}", table::render(&["", "runs", "median ms", "p95 ms", "speed"], &rows));
}

pub fn milliseconds(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64() * 1000.0)
}
