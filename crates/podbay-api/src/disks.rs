//! Persistent disks: orders, changes, and what a server tells of them.

use crate::check::{Fields, count, label, name, one_of, parse, text, wrong};
use crate::error::FieldError;
use crate::pods::{ProviderRef, TeamRef};
use crate::term::{Term, null_as_default};
use podbay_core::limits;
use podbay_core::published::{PodStatus, ProviderType};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A persistent disk (`APIDiskConfig`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "APIDiskConfig"))]
#[serde(rename_all = "camelCase")]
pub struct Disk {
    /// Id: letters and digits only.
    pub id: String,
    /// Display name; not unique.
    #[cfg_attr(feature = "openapi", schemars(length(max = limits::NAME_CHARS_MAX)))]
    pub name: String,
    /// When it was ordered.
    pub created_at: String,
    /// When it last changed.
    pub updated_at: String,
    /// When it ended.
    pub terminated_at: Option<String>,
    /// Where in its life it is: the words are those of pods.
    #[cfg_attr(feature = "openapi", schemars(with = "Term<crate::contract::DiskStatus>"))]
    pub status: Term<PodStatus>,
    /// Provider.
    pub provider_type: Term<ProviderType>,
    /// GB.
    pub size: u32,
    /// Where it is, and how it is held.
    pub info: Option<DiskInfo>,
    /// Dollars per hour at this size.
    pub price_hr: Option<f64>,
    /// Dollars per hour while it is stopped; null means `priceHr`.
    pub stopped_price_hr: Option<f64>,
    /// Dollars per hour while it is provisioned; null means `priceHr`.
    pub provisioning_price_hr: Option<f64>,
    /// Who made it.
    pub user_id: Option<String>,
    /// The team that owns it.
    pub team_id: Option<String>,
    /// The wallet that pays for it.
    pub wallet_id: Option<String>,
    /// Pods that have it.
    #[serde(default, deserialize_with = "null_as_default")]
    pub pods: Vec<String>,
    /// Clusters that have it.
    #[serde(default, deserialize_with = "null_as_default")]
    pub clusters: Vec<String>,
}

/// What else there is to know of a disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct DiskInfo {
    /// ISO 3166 country.
    pub country: Option<String>,
    /// Data centre.
    pub data_center_id: Option<String>,
    /// The offer it was ordered from.
    pub cloud_id: Option<String>,
    /// Whether several pods may have it at once.
    pub is_multinode: bool,
    /// Whether the storage driver holds it to its size; null until the disk is there (an addition).
    #[cfg_attr(feature = "openapi", schemars(extend("x-podbay-addition" = true)))]
    pub size_held: Option<bool>,
    /// Why it is in ERROR (an addition).
    #[cfg_attr(feature = "openapi", schemars(extend("x-podbay-addition" = true)))]
    pub failure: Option<String>,
}

/// An order of a disk. Keys that are none of these are ignored at this level, and refused in
/// `disk`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "CreateDiskRequest"))]
pub struct CreateDisk {
    /// What is ordered.
    pub disk: DiskRequest,
    /// From whom.
    pub provider: ProviderRef,
    /// The team that shall own it.
    pub team: Option<TeamRef>,
}

/// What is ordered. Most of it repeats the offer; whether it fits one is for the server to judge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(
    feature = "openapi",
    derive(schemars::JsonSchema),
    schemars(rename = "DiskRequestConfig", deny_unknown_fields)
)]
#[serde(rename_all = "camelCase")]
pub struct DiskRequest {
    /// GB.
    #[cfg_attr(feature = "openapi", schemars(range(min = 1, max = limits::SIZE_MAX)))]
    pub size: u32,
    /// Display name; the server makes one up if there is none.
    #[cfg_attr(feature = "openapi", schemars(length(max = limits::NAME_CHARS_MAX)))]
    pub name: Option<String>,
    /// Country of the offer.
    pub country: Option<String>,
    /// Offer.
    pub cloud_id: Option<String>,
    /// Data centre of the offer.
    pub data_center_id: Option<String>,
}

impl CreateDisk {
    /// Reads a body.
    ///
    /// # Errors
    /// Every field that is wrong.
    pub fn parse(body: &Value) -> Result<Self, Vec<FieldError>> {
        parse(body, |fields| {
            let disk = fields.required_object("disk", disk);
            let provider = fields.required_object("provider", |provider| {
                provider
                    .required("type", one_of(ProviderType::ALL, ProviderType::parse, ProviderType::as_str))
            });
            let team = fields.optional_object("team", |team| team.required("teamId", name));
            let team = team.map(|team_id| TeamRef { team_id });
            Some(Self { disk: disk?, provider: ProviderRef { kind: provider? }, team })
        })
    }
}

fn disk(fields: &mut Fields<'_>) -> Option<DiskRequest> {
    let size = fields.required("size", count(limits::SIZE_MAX));
    let name = fields.optional("name", label).filter(|name| !name.trim().is_empty());
    let country = fields.optional("country", text);
    let cloud_id = fields.optional("cloudId", text);
    let data_center_id = fields.optional("dataCenterId", text);
    fields.deny_others();
    Some(DiskRequest { size: size?, name, country, cloud_id, data_center_id })
}

/// A change of a disk: at least one of the two.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct PatchDisk {
    /// New name.
    #[cfg_attr(feature = "openapi", schemars(length(min = 1, max = limits::NAME_CHARS_MAX)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// New size in GB; not smaller than the present one (an addition).
    #[cfg_attr(feature = "openapi", schemars(range(min = 1, max = limits::SIZE_MAX)))]
    #[cfg_attr(feature = "openapi", schemars(extend("x-podbay-addition" = true)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u32>,
}

impl PatchDisk {
    /// Reads a body.
    ///
    /// # Errors
    /// Every field that is wrong.
    pub fn parse(body: &Value) -> Result<Self, Vec<FieldError>> {
        parse(body, |fields: &mut Fields<'_>| {
            let change = Self {
                name: fields.optional("name", name),
                size: fields.optional("size", count(limits::SIZE_MAX)),
            };
            let is_given = |key| body.get(key).is_some_and(|value| !value.is_null());
            if !is_given("name") && !is_given("size") {
                fields.complain("name", &[], wrong("missing", "give a name, a size, or both"));
            }
            Some(change)
        })
    }
}
