//! The configuration: one TOML file, every key overridable from the environment.
//!
//! What it holds stands here; how it is read in `load`, what makes sense in `check`. This is the one module that
//! reads the environment.

mod address;
mod check;
mod disks;
mod document;
mod limits;
mod load;
mod mistake;

pub use disks::DisksConfig;
pub use limits::LimitsConfig;
pub use mistake::{ConfigError, Mistakes};

use podbay_core::place::{CpuSize, Terms};
use podbay_core::published::{GpuType, ImageName, Region, Security};
use podbay_core::{Micros, PricePerHour};
use podbay_provider::Credentials;
use podbay_provider::registry::Guard;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

/// Everything that an owner can set.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Address and port of the HTTP API.
    pub listen: SocketAddr,
    /// Folder of the database, keys and sockets; made with mode 0700.
    pub data_dir: PathBuf,
    /// `sqlite` for a file in `data_dir`, or a `postgres://` URL.
    pub database: String,
    /// Address under which pods are reached; found out if it is missing.
    pub public_address: Option<IpAddr>,
    /// Filter of the log, as in `info,podbay_server=debug`.
    pub log: String,
    /// Name of the first user.
    pub owner: String,
    /// The container engine and what of the machine pods may use.
    pub engine: EngineConfig,
    /// Host ports that are handed to pods.
    pub ports: PortsConfig,
    /// What things cost, in dollars.
    pub prices: PricesConfig,
    /// Who pays when.
    pub billing: BillingConfig,
    /// Persistent disks.
    pub disks: DisksConfig,
    /// What offers say of the place.
    pub place: PlaceConfig,
    /// Sizes offered without GPU.
    pub cpu_sizes: Vec<CpuSize>,
    /// OCI reference of each published image name that is offered.
    pub images: BTreeMap<ImageName, String>,
    /// Credentials of private registries, for [`Config::images`].
    pub registries: Vec<RegistryConfig>,
    /// What may be asked about an image beside the public internet; see [`Guard::new`].
    pub registry_allow: Vec<String>,
    /// What one client may ask for.
    pub limits: LimitsConfig,
    /// What is forgotten, and when.
    pub retention: RetentionConfig,
}

/// `[retention]`
#[derive(Clone, Copy, Debug, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(default, deny_unknown_fields)]
pub struct RetentionConfig {
    /// Days after its end for which the events of a pod or a disk are kept; 0 for ever. Bills are kept for ever.
    pub events_days: u32,
}

impl Default for RetentionConfig {
    fn default() -> Self {
        Self { events_days: 365 }
    }
}

/// `[engine]`
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(default, deny_unknown_fields)]
pub struct EngineConfig {
    /// `docker`-style URL; found out if it is missing.
    pub url: Option<String>,
    /// CPUs that pods may use; all if missing.
    pub vcpus: Option<u32>,
    /// Memory in GB that pods may use; all but the reserve if missing.
    pub memory_gb: Option<u32>,
    /// Disk in GB that pods may use; what is free if missing.
    pub disk_gb: Option<u32>,
    /// Memory in GB kept for the machine itself.
    pub memory_reserve_gb: u32,
    /// What becomes of ACTIVE pods when the engine has not answered for `lost_after_minutes`.
    pub when_lost: WhenLost,
    /// The owner's patience.
    pub lost_after_minutes: u32,
}

/// What becomes of pods whose host is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(rename_all = "snake_case")]
pub enum WhenLost {
    /// They stay ACTIVE for as long as it takes.
    Wait,
    /// They end in ERROR; their machines are stopped when the host is back.
    Fail,
}

/// `[ports]`
#[derive(Clone, Copy, Debug, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(default, deny_unknown_fields)]
pub struct PortsConfig {
    /// First port.
    pub first: u16,
    /// Last port.
    pub last: u16,
}

/// `[prices]`, dollars per hour
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(default, deny_unknown_fields)]
pub struct PricesConfig {
    /// One vCPU of a CPU size.
    pub vcpu: f64,
    /// One GB of memory of a CPU size.
    pub memory_gb: f64,
    /// One GB of a persistent disk.
    pub disk_gb: f64,
    /// One GPU of a type without a price of its own.
    pub gpu_default: f64,
    /// One GPU, by published type.
    pub gpu: BTreeMap<GpuType, f64>,
}

/// `[billing]`
#[derive(Clone, Copy, Debug, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(default, deny_unknown_fields)]
pub struct BillingConfig {
    /// Whether an order needs a balance above zero.
    pub prepaid: bool,
    /// What wallets show while nothing is paid in advance, in dollars. Large: clients refuse to
    /// order what it does not cover.
    pub unlimited_balance_usd: f64,
}

/// `[place]`
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(default, deny_unknown_fields)]
pub struct PlaceConfig {
    /// Published region.
    pub region: Option<Region>,
    /// ISO 3166 country.
    pub country: Option<String>,
    /// Name of the data centre.
    pub data_center: Option<String>,
    /// `secure_cloud` or `community_cloud`.
    pub security: Security,
}

/// `[[registries]]`
#[derive(Clone, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(deny_unknown_fields)]
pub struct RegistryConfig {
    /// Host (and port) as it stands at the head of image references.
    pub server: String,
    /// Login name.
    pub username: String,
    /// Password or token.
    pub password: Option<String>,
    /// File that holds the password, instead of `password`.
    pub password_file: Option<PathBuf>,
}

impl std::fmt::Debug for RegistryConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Registry({} as {})", self.server, self.username)
    }
}

/// The image that an installation without configuration offers; `cargo xtask setup` builds it. It has two
/// of the published names, because published clients leave the first one out when environment variables are
/// given. It is a plain userland, so it has no name that promises a framework or an application.
const BASE_IMAGE: &str = "localhost/podbay/base:latest";

impl Default for Config {
    fn default() -> Self {
        let size = |vcpus, memory_gb, disk_gb| CpuSize { vcpus, memory_gb, disk_gb };
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            data_dir: PathBuf::from("/var/lib/podbay"),
            database: "sqlite".into(),
            public_address: None,
            log: "info".into(),
            owner: "owner".into(),
            engine: EngineConfig::default(),
            ports: PortsConfig::default(),
            prices: PricesConfig::default(),
            billing: BillingConfig::default(),
            disks: DisksConfig::default(),
            place: PlaceConfig::default(),
            cpu_sizes: vec![
                size(1, 2, 10),
                size(2, 4, 20),
                size(4, 16, 40),
                size(8, 32, 80),
                size(16, 64, 160),
            ],
            images: [ImageName::Ubuntu22Cuda12, ImageName::Ubuntu26]
                .map(|name| (name, BASE_IMAGE.to_owned()))
                .into(),
            registries: Vec::new(),
            registry_allow: Vec::new(),
            limits: LimitsConfig::default(),
            retention: RetentionConfig::default(),
        }
    }
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            url: None,
            vcpus: None,
            memory_gb: None,
            disk_gb: None,
            memory_reserve_gb: 1,
            when_lost: WhenLost::Wait,
            lost_after_minutes: 10,
        }
    }
}

impl Default for PortsConfig {
    fn default() -> Self {
        // Below the kernel's ephemeral range (32768 on), so that no outgoing connection takes one.
        Self { first: 20_000, last: 29_999 }
    }
}

impl Default for PricesConfig {
    fn default() -> Self {
        Self { vcpu: 0.02, memory_gb: 0.003, disk_gb: 0.0001, gpu_default: 1.0, gpu: BTreeMap::new() }
    }
}

impl Default for BillingConfig {
    fn default() -> Self {
        Self { prepaid: false, unlimited_balance_usd: 1_000_000.0 }
    }
}

impl Default for PlaceConfig {
    fn default() -> Self {
        Self {
            region: None,
            country: None,
            data_center: Some("local".into()),
            security: Security::SecureCloud,
        }
    }
}

impl Config {
    /// The prices and words of the offers.
    #[must_use]
    pub fn terms(&self) -> Terms {
        let price = |dollars: f64| -> PricePerHour { Micros::from_dollars(dollars).unwrap_or_default() };
        Terms {
            cpu_sizes: self.cpu_sizes.clone(),
            price_vcpu: price(self.prices.vcpu),
            price_memory_gb: price(self.prices.memory_gb),
            price_gpu: self.prices.gpu.iter().map(|(gpu, dollars)| (*gpu, price(*dollars))).collect(),
            price_gpu_default: price(self.prices.gpu_default),
            region: self.place.region,
            country: self.place.country.clone(),
            data_center: self.place.data_center.clone(),
            security: self.place.security,
            images: self.images.keys().copied().collect(),
        }
    }

    /// The price of one GB of a persistent disk per hour.
    #[must_use]
    pub fn price_disk_gb(&self) -> PricePerHour {
        Micros::from_dollars(self.prices.disk_gb).unwrap_or_default()
    }

    /// Where questions about images may lead.
    ///
    /// # Errors
    /// The first entry of `registry_allow` that is wrong.
    pub fn guard(&self) -> Result<Guard, String> {
        Guard::new(self.registry_allow.iter().map(String::as_str))
    }

    /// The address on this machine that pods' ports are bound to: as public as the API itself.
    #[must_use]
    pub fn bind(&self) -> IpAddr {
        let ip = self.listen.ip();
        match ip {
            _ if ip.is_loopback() => ip,
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        }
    }

    /// Where the database is.
    #[must_use]
    pub fn database_url(&self) -> String {
        match self.database.as_str() {
            "sqlite" => self.data_dir.join("podbay.db").display().to_string(),
            url => url.to_owned(),
        }
    }

    /// Whether several servers may work on the database.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.database.starts_with("postgres")
    }

    /// The credentials for the registry of an image reference.
    ///
    /// # Errors
    /// The password cannot be had any more.
    pub fn credentials(&self, reference: &str) -> Result<Option<Credentials>, ConfigError> {
        let server = reference.split('/').next().unwrap_or_default();
        let Some(registry) = self.registries.iter().find(|registry| registry.server == server) else {
            return Ok(None);
        };
        let password = registry
            .secret()
            .map_err(|text| ConfigError::Registry { server: registry.server.clone(), text })?;
        Ok(Some(Credentials { username: registry.username.clone(), password }))
    }
}

impl RegistryConfig {
    /// The password, from where it stands. A file is read anew each time, so it may be exchanged at any time.
    fn secret(&self) -> Result<String, String> {
        match (&self.password, &self.password_file) {
            (Some(password), _) => Ok(password.clone()),
            (None, Some(path)) => match std::fs::read_to_string(path) {
                Ok(text) if text.trim_end().is_empty() => Err(format!("{} is empty", path.display())),
                Ok(text) => Ok(text.trim_end().to_owned()),
                Err(error) => Err(format!("cannot read {}: {error}", path.display())),
            },
            (None, None) => {
                Err(format!("write `password` or `password_file` for {} at {}", self.username, self.server))
            }
        }
    }
}

#[cfg(test)]
mod tests;
