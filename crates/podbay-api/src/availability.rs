//! What can be ordered, and for how much.

use crate::term::{Term, null_as_default};
use podbay_core::published::{
    Currency, GpuType, ImageName, ProviderType, Region, Security, Socket, StockStatus,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// An offer. Ordering it means to send its `cloudId`, type, socket and count back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct GpuAvailability {
    /// Id of the offer, unique here.
    pub cloud_id: String,
    /// GPU model.
    pub gpu_type: Term<GpuType>,
    /// Socket.
    #[cfg_attr(feature = "openapi", schemars(with = "Term<Socket>"))]
    pub socket: Option<Term<Socket>>,
    /// Provider.
    #[cfg_attr(feature = "openapi", schemars(with = "Term<ProviderType>"))]
    pub provider: Option<Term<ProviderType>>,
    /// Region.
    pub region: Option<Term<Region>>,
    /// Data centre.
    pub data_center: Option<String>,
    /// ISO 3166 country.
    pub country: Option<String>,
    /// GPUs; 1 for a machine without.
    pub gpu_count: u32,
    /// GB of one GPU.
    pub gpu_memory: u32,
    /// Disk in GB.
    #[serde(default)]
    pub disk: CustomSpecValue,
    /// Disk shared by the nodes of a cluster, in GB.
    #[serde(default)]
    pub shared_disk: CustomSpecValue,
    /// vCPUs. One client needs `defaultCount` to be a number.
    #[serde(default)]
    pub vcpu: CustomSpecValue,
    /// Memory in GB. One client needs `defaultCount` to be a number.
    #[serde(default)]
    pub memory: CustomSpecValue,
    /// Mbit/s to the internet.
    pub internet_speed: Option<f64>,
    /// Gbit/s between nodes.
    pub interconnect: Option<f64>,
    /// Kind of that network.
    pub interconnect_type: Option<String>,
    /// Minutes until a pod of it is up.
    pub provisioning_time: Option<u32>,
    /// Whether one can be had now.
    pub stock_status: Term<StockStatus>,
    /// Security class.
    #[cfg_attr(feature = "openapi", schemars(with = "Term<Security>"))]
    pub security: Option<Term<Security>>,
    /// Prices.
    pub prices: Prices,
    /// Images that it can run.
    #[serde(default, deserialize_with = "null_as_default")]
    pub images: Vec<Term<ImageName>>,
    /// Whether it may be taken away at any time.
    pub is_spot: Option<bool>,
    /// Hours that are paid in advance.
    pub prepaid_time: Option<u32>,
}

/// An offer of persistent disks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct DiskAvailability {
    /// Id of the offer.
    pub cloud_id: Option<String>,
    /// Provider.
    pub provider: Term<ProviderType>,
    /// Data centre.
    pub data_center: Option<String>,
    /// ISO 3166 country.
    pub country: Option<String>,
    /// Region.
    pub region: Option<Term<Region>>,
    /// Size in GB, and dollars per GB and hour.
    #[serde(default)]
    pub spec: CustomSpecValue,
    /// Whether one can be had now.
    pub stock_status: Term<StockStatus>,
    /// Security class.
    pub security: Term<Security>,
    /// Whether several pods may have one at once.
    pub is_multinode: bool,
}

/// A size that can be chosen, or that is fixed (then only `default_count` is set).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct CustomSpecValue {
    /// Smallest choice.
    pub min_count: Option<u32>,
    /// What one gets without choosing.
    pub default_count: Option<u32>,
    /// Largest choice.
    pub max_count: Option<u32>,
    /// Dollars per unit and hour.
    pub price_per_unit: Option<f64>,
    /// Distance between choices.
    pub step: Option<u32>,
    /// Whether the default costs nothing extra.
    pub default_included_in_price: Option<bool>,
    /// For a person.
    pub additional_info: Option<String>,
}

impl CustomSpecValue {
    /// A size that cannot be chosen.
    #[must_use]
    pub fn fixed(count: u32) -> Self {
        Self { default_count: Some(count), ..Self::default() }
    }
}

/// What an offer costs per hour.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Prices {
    /// In the secure cloud.
    pub on_demand: Option<f64>,
    /// In the community cloud.
    pub community_price: Option<f64>,
    /// Whether it may change while a pod runs.
    pub is_variable: Option<bool>,
    /// Of all prices here.
    #[cfg_attr(feature = "openapi", schemars(with = "Term<Currency>"))]
    pub currency: Option<Term<Currency>>,
}

impl Prices {
    /// The price that applies: a community price wins over the other one.
    #[must_use]
    pub fn effective(&self) -> Option<f64> {
        self.community_price.or(self.on_demand)
    }
}

/// A cell of the price summary, in dollars per hour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PricingInfo {
    /// In the secure cloud.
    pub on_demand: Option<f64>,
    /// In the community cloud.
    pub community_price: Option<f64>,
    /// For what may be taken away.
    pub spot_price: Option<f64>,
}

/// The key of a [`SummaryRow`] beside the regions.
pub const CHEAPEST: &str = "cheapest";
/// Prices of one count: [`CHEAPEST`], and one entry per region.
pub type SummaryRow = BTreeMap<String, Option<PricingInfo>>;
/// GPU type → number of GPUs in digits → prices.
pub type PriceSummary = BTreeMap<String, BTreeMap<String, SummaryRow>>;
/// GPU type → offers: the legacy form of the list.
pub type OfferMap = BTreeMap<String, Vec<GpuAvailability>>;
