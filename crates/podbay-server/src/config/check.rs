//! What makes sense: everything that the types do not say.

use super::{Config, ImageName};
use podbay_core::Micros;
use podbay_core::limits::HOST_SILENT_AFTER;
use podbay_provider::reference::Reference;
use podbay_provider::registry::Guard;

/// Something that makes no sense.
#[derive(Debug)]
pub(super) struct Finding {
    /// The keys that it comes from, the likeliest first; a number counts the elements of a list.
    pub keys: Vec<String>,
    /// What is wrong, and what to write.
    pub text: String,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Findings(pub Vec<Finding>);

impl Findings {
    pub fn add(&mut self, keys: &[&str], text: impl Into<String>) {
        let keys = keys.iter().map(|key| (*key).to_owned()).collect();
        self.0.push(Finding { keys, text: text.into() });
    }
}

impl Config {
    /// Everything that makes no sense. Reads the files of passwords, so that a missing one is told now rather than
    /// at the first fetch of an image.
    pub(super) fn check(&self) -> Findings {
        let mut findings = Findings::default();
        self.check_machine(&mut findings);
        self.check_money(&mut findings);
        self.check_sizes(&mut findings);
        self.disks.check(&mut findings);
        self.check_images(&mut findings);
        self.limits.check(&mut findings);
        findings
    }

    fn check_machine(&self, findings: &mut Findings) {
        if self.database != "sqlite" && !self.database.starts_with("postgres") {
            findings.add(&["database"], "write \"sqlite\" or a URL that begins with postgres://");
        }
        if tracing_subscriber::EnvFilter::try_new(&self.log).is_err() {
            findings.add(&["log"], "write a filter such as \"info\" or \"info,podbay_server=debug\"");
        }
        let minutes = HOST_SILENT_AFTER.as_secs() / 60;
        if u64::from(self.engine.lost_after_minutes) < minutes {
            let text = format!("write a number from {minutes} on: a silence that is shorter is no loss");
            findings.add(&["engine.lost_after_minutes"], text);
        }
        if self.ports.first < 1024 {
            findings.add(&["ports.first"], "write a port from 1024 on");
        }
        if self.ports.first > self.ports.last {
            findings.add(&["ports.first", "ports.last"], "`first` must not be above `last`");
        }
        if self.place.country.as_ref().is_some_and(|country| country.len() != 2) {
            findings.add(&["place.country"], "write the two letters of ISO 3166, as in \"DE\"");
        }
    }

    fn check_money(&self, findings: &mut Findings) {
        let single = [
            ("prices.vcpu".to_owned(), self.prices.vcpu),
            ("prices.memory_gb".to_owned(), self.prices.memory_gb),
            ("prices.disk_gb".to_owned(), self.prices.disk_gb),
            ("prices.gpu_default".to_owned(), self.prices.gpu_default),
        ];
        let by_type = self.prices.gpu.iter().map(|(gpu, dollars)| (format!("prices.gpu.{gpu}"), *dollars));
        for (key, dollars) in single.into_iter().chain(by_type) {
            if dollars < 0.0 || Micros::from_dollars(dollars).is_none() {
                findings.add(&[&key], "a price is a number of dollars per hour, zero or more");
            }
        }
        let shown = self.billing.unlimited_balance_usd;
        if !(shown > 0.0 && shown.is_finite()) {
            findings.add(&["billing.unlimited_balance_usd"], "write a number of dollars above zero");
        }
    }

    fn check_sizes(&self, findings: &mut Findings) {
        for (index, size) in self.cpu_sizes.iter().enumerate() {
            let key = format!("cpu_sizes.{index}");
            if size.vcpus == 0 || size.memory_gb == 0 || size.disk_gb == 0 {
                findings.add(&[&key], "a size needs `vcpus`, `memory_gb` and `disk_gb` above zero");
            }
            let is_same = |other: &podbay_core::place::CpuSize| {
                (other.vcpus, other.memory_gb) == (size.vcpus, size.memory_gb)
            };
            if self.cpu_sizes[..index].iter().any(is_same) {
                findings.add(
                    &[&key],
                    "an earlier size has the same CPUs and memory, and the two would be the same offer",
                );
            }
        }
    }

    fn check_images(&self, findings: &mut Findings) {
        if self.images.is_empty() {
            findings.add(&["images"], "name at least one published image");
        }
        for (name, reference) in &self.images {
            let key = format!("images.{name}");
            if *name == ImageName::CustomTemplate {
                findings.add(&[&key], "templates name their images themselves: leave this one out");
            } else if let Err(text) = Reference::parse(reference) {
                findings.add(&[&key], text);
            }
        }
        for (index, registry) in self.registries.iter().enumerate() {
            if let Err(text) = registry.secret() {
                findings.add(&[&format!("registries.{index}")], text);
            }
        }
        for (index, entry) in self.registry_allow.iter().enumerate() {
            if let Err(text) = Guard::new([entry.as_str()]) {
                findings.add(&[&format!("registry_allow.{index}")], text);
            }
        }
    }
}
