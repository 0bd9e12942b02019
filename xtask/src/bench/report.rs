//! What was measured, beside what was wanted.

use super::stats::Samples;
use crate::table;
use std::time::Duration;

/// What a number is held to.
#[derive(Clone, Copy)]
pub enum Wanted {
    AtLeast(f64),
    AtMost(f64),
    /// A number for the reader only.
    Nothing,
}

/// Lines of the last table.
#[derive(Default)]
pub struct Report {
    lines: Vec<Vec<String>>,
    missed: usize,
}

impl Report {
    /// A number of ours that is held to a bound of its own.
    pub fn value(&mut self, what: &str, value: f64, unit: &str, wanted: Wanted) {
        let with_unit = |value: f64| format!("{} {unit}", short(value));
        self.push(what, with_unit(value), String::new(), String::new(), value, wanted, &with_unit);
    }

    /// A number beside that of a reference, held to a bound of the ratio.
    pub fn ratio(&mut self, what: &str, ours: String, reference: String, ratio: f64, wanted: Wanted) {
        let times = |value: f64| format!("{value:.2}×");
        self.push(what, ours, reference, times(ratio), ratio, wanted, &times);
    }

    /// What gave no number, and why: that is a miss like any other.
    pub fn failed(&mut self, what: &str, why: &str) {
        self.push(what, why.to_owned(), String::new(), String::new(), 0.0, Wanted::AtLeast(1.0), &|_| {
            "a number".into()
        });
    }

    #[expect(clippy::too_many_arguments, reason = "one for each column")]
    fn push(
        &mut self,
        what: &str,
        ours: String,
        reference: String,
        ratio: String,
        value: f64,
        wanted: Wanted,
        write: &dyn Fn(f64) -> String,
    ) {
        let (bound, is_met) = match wanted {
            Wanted::AtLeast(bound) => (format!("≥ {}", write(bound)), Some(value >= bound)),
            Wanted::AtMost(bound) => (format!("≤ {}", write(bound)), Some(value <= bound)),
            Wanted::Nothing => (String::new(), None),
        };
        self.missed += usize::from(is_met == Some(false));
        let met = is_met.map_or("", |is_met| if is_met { "yes" } else { "NO" });
        let line = vec![what.to_owned(), ours, reference, ratio, bound, met.to_owned()];
        println!(
            "  {}",
            line.iter().filter(|cell| !cell.is_empty()).cloned().collect::<Vec<_>>().join(" · ")
        );
        self.lines.push(line);
    }

    pub fn print(&self) {
        println!();
        let head = ["what", "ours", "reference", "ratio", "wanted", "met?"];
        print!("{}", table::render(&head, &self.lines));
        match self.missed {
            0 => println!("\n  everything that was wanted is met"),
            missed => println!("\n  not met: {missed}"),
        }
    }
}

/// Three digits that mean something.
pub fn short(value: f64) -> String {
    match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}

pub fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// The middle one; of two in the middle the lower.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut all: Vec<f64> = values.into_iter().collect();
    all.sort_by(f64::total_cmp);
    all.get(all.len().saturating_sub(1) / 2).copied().unwrap_or(f64::NAN)
}

/// "median 512 ms, p95 700 ms"
pub fn times(samples: &Samples) -> String {
    let text = |percent| format!("{} ms", short(milliseconds(samples.percentile(percent))));
    format!("{}, p95 {}", text(50), text(95))
}
