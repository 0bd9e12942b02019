//! The order of a pod.

use crate::check::{Fields, Wrong, amount, count, flag, label, name, one_of, parse, text, text_bytes, wrong};
use crate::error::FieldError;
#[cfg(feature = "openapi")]
use crate::term::Term;
use podbay_core::limits;
use podbay_core::published::{GpuType, ImageName, ProviderType, Security, Socket};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;

/// Most disks or members that one order may name.
const IDS_MAX: usize = 100;

/// An order of a pod. Keys that are none of these are ignored at this level, and refused in `pod`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "openapi", schemars(rename = "CreatePodRequest", transform = in_both_spellings))]
pub struct CreatePod {
    /// What is ordered.
    pub pod: PodRequest,
    /// From whom.
    pub provider: ProviderRef,
    /// Persistent disks to attach.
    #[cfg_attr(feature = "openapi", schemars(length(max = IDS_MAX)))]
    pub disks: Option<Vec<String>>,
    /// The team that shall own it.
    pub team: Option<TeamRef>,
    /// Members who shall reach it. Also read as `teamMemberIds`.
    #[cfg_attr(feature = "openapi", schemars(length(max = IDS_MAX)))]
    pub team_member_ids: Option<Vec<String>>,
    /// Whether all members shall reach it. Also read as `sharedWithTeam`.
    #[cfg_attr(feature = "openapi", schemars(with = "Option<bool>"))]
    pub shared_with_team: bool,
}

/// The provider of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "PodProvider"))]
pub struct ProviderRef {
    /// Which.
    #[serde(rename = "type")]
    #[cfg_attr(feature = "openapi", schemars(with = "Term<ProviderType>"))]
    pub kind: ProviderType,
}

/// The team of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "PodTeam"))]
#[serde(rename_all = "camelCase")]
pub struct TeamRef {
    /// Which.
    #[cfg_attr(feature = "openapi", schemars(length(min = 1, max = limits::NAME_CHARS_MAX)))]
    pub team_id: String,
}

/// One variable of a pod's environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct EnvVar {
    /// Name.
    pub key: String,
    /// Value.
    pub value: String,
}

/// What is ordered. Most of it repeats the offer; whether it fits one is for the server to judge.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(
    feature = "openapi",
    derive(schemars::JsonSchema),
    schemars(rename = "PodRequestConfig", deny_unknown_fields)
)]
#[serde(rename_all = "camelCase")]
pub struct PodRequest {
    /// Display name; the server makes one up if there is none.
    #[cfg_attr(feature = "openapi", schemars(length(max = limits::NAME_CHARS_MAX)))]
    pub name: Option<String>,
    /// Offer.
    #[cfg_attr(feature = "openapi", schemars(length(min = 1, max = limits::NAME_CHARS_MAX)))]
    pub cloud_id: String,
    /// GPU model.
    #[cfg_attr(feature = "openapi", schemars(with = "Term<GpuType>"))]
    pub gpu_type: GpuType,
    /// Socket. One client always says PCIe: a mismatch is no mistake.
    #[cfg_attr(feature = "openapi", schemars(with = "Term<Socket>"))]
    pub socket: Socket,
    /// GPUs.
    #[cfg_attr(feature = "openapi", schemars(range(min = 1, max = limits::GPU_COUNT_MAX)))]
    pub gpu_count: u32,
    /// Disk in GB; the offer's default if none.
    #[cfg_attr(feature = "openapi", schemars(range(min = 1, max = limits::SIZE_MAX)))]
    pub disk_size: Option<u32>,
    /// vCPUs; the offer's default if none.
    #[cfg_attr(feature = "openapi", schemars(range(min = 1, max = limits::SIZE_MAX)))]
    pub vcpus: Option<u32>,
    /// Memory in GB; the offer's default if none.
    #[cfg_attr(feature = "openapi", schemars(range(min = 1, max = limits::SIZE_MAX)))]
    pub memory: Option<u32>,
    /// Highest dollars per hour; null, absent and 0 all mean that there is no ceiling.
    #[cfg_attr(feature = "openapi", schemars(range(min = 0)))]
    pub max_price: Option<f64>,
    /// Image; the server's default if none.
    #[cfg_attr(feature = "openapi", schemars(with = "Option<Term<ImageName>>"))]
    pub image: Option<ImageName>,
    /// Custom template, with the image `custom_template` or without any.
    #[cfg_attr(feature = "openapi", schemars(length(max = limits::NAME_CHARS_MAX)))]
    pub custom_template_id: Option<String>,
    /// Data centre of the offer.
    #[cfg_attr(feature = "openapi", schemars(length(max = limits::NAME_CHARS_MAX)))]
    pub data_center_id: Option<String>,
    /// Country of the offer.
    #[cfg_attr(feature = "openapi", schemars(length(max = limits::NAME_CHARS_MAX)))]
    pub country: Option<String>,
    /// Security class of the offer.
    #[cfg_attr(feature = "openapi", schemars(with = "Option<Term<Security>>"))]
    pub security: Option<Security>,
    /// Environment. Read as a list of pairs or as a map.
    #[cfg_attr(feature = "openapi", schemars(schema_with = "both_env_forms", default))]
    pub env_vars: Vec<EnvVar>,
    /// Password of a notebook server; none is started if it is null, absent or empty.
    #[cfg_attr(feature = "openapi", schemars(length(max = limits::NAME_CHARS_MAX)))]
    pub jupyter_password: Option<String>,
    /// One of the maker's SSH keys: the only one of them that the pod lets in; all of them if none.
    #[cfg_attr(feature = "openapi", schemars(length(max = limits::NAME_CHARS_MAX)))]
    pub ssh_key_id: Option<String>,
    /// Whether to start it again if it ends by itself.
    pub auto_restart: Option<bool>,
    /// Hours to pay in advance. No offer here asks for it, so none is taken.
    #[cfg_attr(feature = "openapi", schemars(extend("exclusiveMinimum" = 0)))]
    pub prepaid_for_hr: Option<f64>,
}

impl CreatePod {
    /// Reads a body.
    ///
    /// # Errors
    /// Every field that is wrong.
    pub fn parse(body: &Value) -> Result<Self, Vec<FieldError>> {
        parse(body, |fields| {
            let pod = fields.required_object("pod", pod);
            let provider = fields.required_object("provider", |provider| {
                provider
                    .required("type", one_of(ProviderType::ALL, ProviderType::parse, ProviderType::as_str))
            });
            let disks = fields.optional_list("disks", IDS_MAX, name);
            let team = fields.optional_object("team", |team| team.required("teamId", name));
            let members = fields.optional_list("team_member_ids", IDS_MAX, name);
            let members_camel = fields.optional_list("teamMemberIds", IDS_MAX, name);
            let shared = fields.optional("shared_with_team", flag);
            let shared_camel = fields.optional("sharedWithTeam", flag);
            Some(Self {
                pod: pod?,
                provider: ProviderRef { kind: provider? },
                disks,
                team: team.map(|team_id| TeamRef { team_id }),
                team_member_ids: members.or(members_camel),
                shared_with_team: shared.or(shared_camel).unwrap_or(false),
            })
        })
    }
}

fn pod(fields: &mut Fields<'_>) -> Option<PodRequest> {
    let size = || count(limits::SIZE_MAX);
    let name = fields.optional("name", label).filter(|name| !name.trim().is_empty());
    let cloud_id = fields.required("cloudId", crate::check::name);
    let gpu_type = fields.required("gpuType", one_of(GpuType::ALL, GpuType::parse, GpuType::as_str));
    let socket = fields.required("socket", one_of(Socket::ALL, Socket::parse, Socket::as_str));
    let gpu_count = fields.required("gpuCount", count(limits::GPU_COUNT_MAX));
    let disk_size = fields.optional("diskSize", size());
    let vcpus = fields.optional("vcpus", size());
    let memory = fields.optional("memory", size());
    let max_price = fields.optional("maxPrice", amount).filter(|price| *price > 0.0);
    let image = fields.optional("image", one_of(ImageName::ALL, ImageName::parse, ImageName::as_str));
    let custom_template_id = fields.optional("customTemplateId", text).filter(|id| !id.is_empty());
    let data_center_id = fields.optional("dataCenterId", text);
    let country = fields.optional("country", text);
    let security = fields.optional("security", one_of(Security::ALL, Security::parse, Security::as_str));
    let env_vars = env_vars(fields);
    let jupyter_password = fields.optional("jupyterPassword", text).filter(|word| !word.is_empty());
    let ssh_key_id = fields.optional("sshKeyId", text);
    let auto_restart = fields.optional("autoRestart", flag);
    let prepaid_for_hr = fields.optional("prepaidForHr", |value| match amount(value)? {
        hours if hours > 0.0 => Ok(hours),
        _ => Err(wrong("greater_than", "must be more than 0")),
    });
    fields.deny_others();
    Some(PodRequest {
        name,
        cloud_id: cloud_id?,
        gpu_type: gpu_type?,
        socket: socket?,
        gpu_count: gpu_count?,
        disk_size,
        vcpus,
        memory,
        max_price,
        image,
        custom_template_id,
        data_center_id,
        country,
        security,
        env_vars,
        jupyter_password,
        ssh_key_id,
        auto_restart,
        prepaid_for_hr,
    })
}

const ENV_VARS: &str = "envVars";

/// The environment in either of its two forms: clients send both.
pub(crate) fn env_vars(fields: &mut Fields<'_>) -> Vec<EnvVar> {
    let pairs: Vec<(String, Option<&Value>, Option<&Value>)> = match fields.raw(ENV_VARS) {
        None | Some(Value::Null) => return Vec::new(),
        Some(Value::Object(map)) => map.iter().map(|(key, value)| (key.clone(), None, Some(value))).collect(),
        Some(Value::Array(list)) => list
            .iter()
            .enumerate()
            .map(|(index, pair)| (index.to_string(), Some(pair), pair.get("value")))
            .collect(),
        Some(_) => {
            fields.complain(ENV_VARS, &[], wrong("list_type", "must be a list of {key, value}, or a map"));
            return Vec::new();
        }
    };
    if pairs.len() > limits::ENV_VARS_MAX {
        let msg = format!("at most {} variables are allowed", limits::ENV_VARS_MAX);
        fields.complain(ENV_VARS, &[], wrong("too_long", msg));
        return Vec::new();
    }
    let mut vars = Vec::with_capacity(pairs.len());
    let mut names = BTreeSet::new();
    for (step, pair, value) in pairs {
        let key = match pair {
            None => env_name(&step).map_err(|wrong| (vec![step.as_str()], wrong)),
            Some(pair) => match pair.get("key").and_then(Value::as_str) {
                Some(key) => env_name(key).map_err(|wrong| (vec![step.as_str(), "key"], wrong)),
                None => Err((vec![step.as_str(), "key"], wrong("missing", "field required"))),
            },
        };
        let value_at = if pair.is_some() { vec![step.as_str(), "value"] } else { vec![step.as_str()] };
        let value = value.map_or_else(|| Err(wrong("missing", "field required")), env_value);
        match (key, value) {
            (Ok(key), Ok(value)) if names.insert(key.clone()) => vars.push(EnvVar { key, value }),
            (Ok(_), Ok(_)) => fields.complain(ENV_VARS, &value_at, wrong("value_error", "is given twice")),
            (key, value) => {
                if let Err((at, wrong)) = key {
                    fields.complain(ENV_VARS, &at, wrong);
                }
                if let Err(wrong) = value {
                    fields.complain(ENV_VARS, &value_at, wrong);
                }
            }
        }
    }
    vars
}

fn env_name(key: &str) -> Result<String, Wrong> {
    let mut bytes = key.bytes();
    let head = bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    let tail = bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !head || !tail || key.len() > limits::NAME_CHARS_MAX {
        let msg = "the name of a variable has letters, digits and underscores, and begins with no digit";
        return Err(wrong("string_pattern_mismatch", msg));
    }
    Ok(key.to_owned())
}

fn env_value(value: &Value) -> Result<String, Wrong> {
    let text = text_bytes(value, limits::ENV_VALUE_BYTES_MAX)?;
    if text.contains('\0') {
        return Err(wrong("string_pattern_mismatch", "must not contain the zero character"));
    }
    Ok(text)
}

/// The keys that one published client spells in camel case are there in both spellings.
#[cfg(feature = "openapi")]
fn in_both_spellings(schema: &mut schemars::Schema) {
    let Some(Value::Object(properties)) = schema.get_mut("properties") else { return };
    for (snake, camel) in [("team_member_ids", "teamMemberIds"), ("shared_with_team", "sharedWithTeam")] {
        let mut same = properties.get(snake).cloned().unwrap_or_default();
        same["description"] = format!("The same as `{snake}`.").into();
        same[crate::contract::ADDITION] = true.into();
        properties.insert(camel.to_owned(), same);
    }
}

/// What [`env_vars`] reads.
#[cfg(feature = "openapi")]
pub(crate) fn both_env_forms(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    let (max, chars) = (limits::ENV_VARS_MAX, limits::NAME_CHARS_MAX);
    let name = serde_json::json!({
        "type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$", "maxLength": chars });
    let value = serde_json::json!({ "type": "string", "maxLength": limits::ENV_VALUE_BYTES_MAX });
    let pair = serde_json::json!({
        "type": "object", "properties": { "key": name, "value": value }, "required": ["key", "value"] });
    schemars::json_schema!({
        "anyOf": [
            { "type": "array", "items": pair, "maxItems": max },
            { "type": "object", "propertyNames": name, "additionalProperties": value, "maxProperties": max },
            { "type": "null" },
        ],
    })
}
