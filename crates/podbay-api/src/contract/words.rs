//! Published enumerations as schemas, under their published names.

use crate::pods::{LogStream, PodType, ResourceType};
use crate::term::Term;
use podbay_core::permission::{Level, Scope};
use podbay_core::published::{
    AttachableStatus, AttachableType, Currency, GpuType, ImageName, InstallationStatus, PodStatus, Protocol,
    ProviderType, Region, Security, Socket, StockStatus, TeamRole, UsedBy, UserRole,
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};
use std::borrow::Cow;

/// An enumeration of the contract.
pub trait Words {
    /// Its published name.
    const NAME: &'static str;

    /// All its values, as they are written.
    fn words() -> Vec<&'static str>;
}

impl<T: Words> JsonSchema for Term<T> {
    fn schema_name() -> Cow<'static, str> {
        T::NAME.into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "enum": T::words() })
    }
}

/// Those of the core, which has a list of each; and those that are listed here in full, because we
/// send only some of the published words.
macro_rules! words {
    ($($core:ident = $name:literal,)* ; $($own:ident = $own_name:literal [$($word:literal),*],)*) => {
        $(impl Words for $core {
            const NAME: &'static str = $name;
            fn words() -> Vec<&'static str> {
                $core::ALL.iter().map(|value| value.as_str()).collect()
            }
        })*
        $(impl Words for $own {
            const NAME: &'static str = $own_name;
            fn words() -> Vec<&'static str> {
                vec![$($word),*]
            }
        })*
    };
}

words! {
    GpuType = "GPUType",
    Socket = "GPUSocket",
    ProviderType = "ProviderTypeEnum",
    ImageName = "EnvironmentTypeEnum",
    Region = "Regions",
    Security = "SecurityType",
    StockStatus = "StockStatus",
    PodStatus = "PodStatusEnum",
    InstallationStatus = "InstallationStatusEnum",
    AttachableType = "AttachableResourceType",
    AttachableStatus = "AttachableResourceStatus",
    Currency = "Currency",
    Protocol = "ProtocolEnum",
    UsedBy = "UsedByEnum",
    UserRole = "UserRoleEnum",
    TeamRole = "TeamRoleEnum",
    ;
    PodType = "PodTypeEnum" ["HOSTED", "EXTERNAL"],
    ResourceType = "ResourceType"
        ["Instance", "Cluster", "Disk", "Sandbox", "Inference", "Image", "Training"],
    LogStream = "LogStream" ["stdout", "stderr"],
    Level = "AccessLevel" ["none", "read", "write"],
}

/// The states of disks: those of pods, published under a name of their own.
pub(crate) enum DiskStatus {}

impl Words for DiskStatus {
    const NAME: &'static str = "DiskStatusEnum";
    fn words() -> Vec<&'static str> {
        PodStatus::words()
    }
}

/// A level for each scope, as a request gives them.
pub(crate) fn scope_levels(_: &mut SchemaGenerator) -> Schema {
    let mut levels = Level::words().into_iter().map(Value::from).collect::<Vec<_>>();
    levels.push(Value::Null);
    let level = |scope: Scope| (scope.name().to_owned(), json!({ "enum": levels }));
    let properties: Map<String, Value> = Scope::ALL.into_iter().map(level).collect();
    json_schema!({ "type": "object", "properties": properties, "additionalProperties": false })
}
