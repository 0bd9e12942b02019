//! What is published of the API, as tables, and our contract held against them: each published call,
//! parameter, key and word is here or is named as absent; what we add is marked as ours.

use podbay_api::contract::ADDITION;
use podbay_server::http::contract;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Method, path without slash at its end, query parameters with their schema, shape of a success.
type Call = (&'static str, &'static str, Vec<Parameter>, &'static str);
/// Name, then what its schema must say at least.
type Parameter = (&'static str, Value);

fn offset_limit() -> Vec<Parameter> {
    vec![("offset", json!({ "default": 0 })), ("limit", json!({ "default": 100 }))]
}

fn offers(page_size_max: u32) -> Vec<Parameter> {
    let list = || json!({ "type": "array" });
    vec![
        ("regions", list()),
        ("gpu_count", json!({ "type": "integer" })),
        ("gpu_type", json!({ "type": "string" })),
        ("socket", json!({ "type": "string" })),
        ("security", json!({ "type": "string" })),
        ("data_center_id", json!({ "type": "string" })),
        ("cloud_id", json!({ "type": "string" })),
        ("disks", list()),
        ("page", json!({ "minimum": 1, "default": 1 })),
        ("page_size", json!({ "minimum": 1, "maximum": page_size_max, "default": page_size_max })),
    ]
}

/// Every published call of the compute part.
fn calls() -> Vec<Call> {
    let disk_offers = vec![
        ("regions", json!({ "type": "array" })),
        ("data_center_id", json!({ "type": "string" })),
        ("cloud_id", json!({ "type": "string" })),
        ("page", json!({ "minimum": 1, "default": 1 })),
        ("page_size", json!({ "minimum": 1, "maximum": 100, "default": 100 })),
    ];
    let sorted = vec![
        ("sort_by", json!({ "enum": ["terminatedAt", "createdAt"], "default": "terminatedAt" })),
        ("sort_order", json!({ "enum": ["desc", "asc"], "default": "desc" })),
    ];
    let wallet = vec![
        ("limit", json!({ "minimum": 1, "maximum": 100, "default": 20 })),
        ("offset", json!({ "minimum": 0 })),
        ("teamId", json!({ "type": "string" })),
    ];
    vec![
        ("get", "/pods", offset_limit(), "page of APIPodConfig"),
        ("post", "/pods", vec![], "APIPodConfig"),
        ("get", "/pods/history", [sorted, offset_limit()].concat(), "page of HistoryObj"),
        (
            "get",
            "/pods/status",
            vec![("pod_ids", json!({ "type": "array", "default": [] }))],
            "data of list of APIPodStatusResponse",
        ),
        ("get", "/pods/{id}", vec![], "APIPodConfig"),
        ("delete", "/pods/{id}", vec![], "with status"),
        ("get", "/pods/{id}/log", vec![("tail", json!({ "type": "integer" }))], "any"),
        ("get", "/availability", offers(500), "any"),
        ("get", "/availability/clusters", offers(500), "any"),
        ("get", "/availability/gpus", offers(100), "items of GpuAvailability"),
        ("get", "/availability/multi-node", offers(100), "items of GpuAvailability"),
        ("get", "/availability/gpu-summary", vec![], "any"),
        ("get", "/availability/multi-node-summary", vec![], "any"),
        ("get", "/availability/disks", disk_offers, "items of DiskAvailability"),
        ("get", "/disks", offset_limit(), "page of APIDiskConfig"),
        ("post", "/disks", vec![], "APIDiskConfig"),
        ("get", "/disks/{id}", vec![], "APIDiskConfig"),
        ("patch", "/disks/{id}", vec![], "any"),
        ("delete", "/disks/{id}", vec![], "with status"),
        ("get", "/ssh_keys", offset_limit(), "page of SSHKey"),
        ("post", "/ssh_keys", vec![], "SSHKey"),
        ("delete", "/ssh_keys/{id}", vec![], "any"),
        ("patch", "/ssh_keys/{id}", vec![], "any"),
        ("get", "/user/whoami", vec![], "data of User"),
        ("patch", "/user/slug", vec![], "data of User"),
        ("get", "/user/teams", offset_limit(), "page of Team"),
        ("get", "/teams/{id}/members", offset_limit(), "page of TeamMember"),
        ("get", "/billing/wallet", wallet, "Wallet"),
        ("post", "/template/check-docker-image", vec![], "any"),
        ("get", "/template/registry-credentials", vec![], "any"),
        ("post", "/auth_challenge/generate", vec![], "any"),
        ("get", "/auth_challenge/status", vec![("challenge", json!({ "type": "string" }))], "any"),
    ]
}

/// Keys of the published replies; `?` may be null. The order is the published one.
const REPLIES: &[(&str, &str)] = &[
    (
        "APIPodConfig",
        "id userId teamId? walletId? name type providerType status installationStatus installationFailure? \
         installationProgress? createdAt updatedAt terminatedAt? gpuName gpuCount socket priceHr stoppedPriceHr? \
         provisioningPriceHr? environmentType customTemplateId? clusterId? primePortMapping? sshConnection? ip? \
         resources? attachedResources? isSpot? autoRestart?",
    ),
    ("PortMapping", "internal external protocol usedBy? description?"),
    ("AttachedResources", "resourceType id status isDetachable mountPath? resourcePath? size? isShared?"),
    ("Resources", "memory? disk? shared_disk? vcpus?"),
    (
        "APIPodStatusResponse",
        // The last three: shown by the documentation and read by clients, though not in the specification.
        "podId providerType status sshConnection? ip? installationStatus? installationFailure? \
         installationProgress? priceHr? costPerHr? primePortMapping?",
    ),
    (
        "HistoryObj",
        "id name providerType provisionedBy? type createdAt terminatedAt? gpuName gpuCount socket? priceHr userId \
         teamId? totalBilledPrice",
    ),
    (
        "GpuAvailability",
        "cloudId gpuType socket provider region? dataCenter? country? gpuCount gpuMemory disk sharedDisk vcpu memory \
         internetSpeed? interconnect? interconnectType? provisioningTime? stockStatus security prices images isSpot? \
         prepaidTime?",
    ),
    (
        "CustomSpecValue",
        "minCount? defaultCount? maxCount? pricePerUnit? step? defaultIncludedInPrice? additionalInfo?",
    ),
    ("Prices", "onDemand? communityPrice? isVariable? currency"),
    ("PricingInfo", "onDemand? communityPrice? spotPrice?"),
    (
        "DiskAvailability",
        "cloudId? provider dataCenter? country? region? spec stockStatus security isMultinode",
    ),
    (
        "APIDiskConfig",
        "id name createdAt updatedAt terminatedAt? status providerType size info? priceHr? stoppedPriceHr? \
         provisioningPriceHr? userId? teamId? walletId? pods clusters",
    ),
    ("SSHKey", "id userId name publicKey isPrimary isUserKey createdAt updatedAt"),
    ("Team", "teamId name slug? role createdAt"),
    ("TeamMember", "userId userName? userEmail? role joinedAt"),
    ("Wallet", "wallet_id team_id? balance_usd currency total_billings recent_billings"),
    (
        "BillingEntry",
        "id created_at updated_at last_billed_at? amount_usd currency resource_type resource_id?",
    ),
    (
        "User",
        "id role createdAt name? slug? email? image? emailVerified? hasBetaAccess isBanned skipPrepay blacklist scope",
    ),
    ("RegistryCredentialsList", "credentials"),
    ("RegistryCredentials", "id name server createdAt updatedAt userId? teamId?"),
    ("LoginBegun", "challenge status_auth_token"),
    ("LoginStatus", "result?"),
];

/// Keys of the published requests; `!` must be given, `?` may be null.
const REQUESTS: &[(&str, &str)] = &[
    ("CreatePodRequest", "pod! provider! disks? team? team_member_ids? shared_with_team"),
    (
        "PodRequestConfig",
        "name cloudId! gpuType! socket! gpuCount! diskSize? vcpus? memory? maxPrice? image customTemplateId? \
         dataCenterId? country? security? envVars? jupyterPassword? sshKeyId? autoRestart? prepaidForHr?",
    ),
    ("CreateDiskRequest", "disk! provider! team?"),
    ("DiskRequestConfig", "size! name country cloudId dataCenterId"),
    // Published as required; ours may name a size instead.
    ("PatchDisk", "name"),
    ("CheckImage", "image! registry_credentials_id?"),
    ("BeginLogin", "encryptionPublicKey! limits"),
    ("AddSshKey", "name! publicKey!"),
    ("PatchSshKey", "isPrimary!"),
    ("SetSlug", "slug!"),
];

/// The published words of each enumeration.
const WORDS: &[(&str, &str)] = &[
    (
        "GPUType",
        "CPU_NODE A10_24GB A100_80GB A100_40GB A30_24GB A40_48GB B200_180GB B300_262GB GB200 GB300 RTX3070_8GB \
         RTX3080_10GB RTX3080Ti_12GB RTX3090_24GB RTX3090Ti_24GB RTX4070Ti_12GB RTX4080_16GB RTX4080Ti_16GB \
         RTX4090_24GB RTX5090_32GB H100_80GB H200_96GB GH200_96GB H200_141GB GH200_480GB GH200_624GB L4_24GB L40_48GB \
         L40S_48GB RTX4000_8GB RTX5000_16GB RTX6000_24GB RTX8000_48GB RTX2000Ada_16GB RTX4000Ada_20GB \
         RTX5000Ada_32GB RTX6000Ada_48GB A2000_6GB A4000_16GB A4500_20GB A5000_24GB A6000_48GB V100_16GB V100_32GB \
         P100_16GB T4_16GB P4_8GB P40_24GB RTX_PRO_6000B_96GB",
    ),
    ("GPUSocket", "PCIe SXM2 SXM3 SXM4 SXM5 SXM6"),
    (
        "ProviderTypeEnum",
        "runpod fluidstack lambdalabs hyperstack oblivus cudocompute scaleway tensordock datacrunch latitude \
         crusoecloud massedcompute akash primeintellect primecompute dc_impala dc_kudu dc_roan nebius dc_eland \
         dc_wildebeest vultr dc_gnu denvr",
    ),
    (
        "EnvironmentTypeEnum",
        "ubuntu_22_cuda_12 cuda_12_1_pytorch_2_2 cuda_11_8_pytorch_2_1 cuda_12_1_pytorch_2_3 cuda_12_1_pytorch_2_4 \
         cuda_12_4_pytorch_2_4 cuda_12_4_pytorch_2_5 cuda_12_4_pytorch_2_6 cuda_12_6_pytorch_2_7 stable_diffusion \
         axolotl bittensor hivemind petals_llama vllm_llama_8b vllm_llama_70b vllm_llama_405b custom_template flux \
         prime_rl ubuntu_26",
    ),
    (
        "Regions",
        "africa asia_south asia_northeast australia canada eu_east eu_north eu_west middle_east south_america \
         united_states",
    ),
    ("SecurityType", "secure_cloud community_cloud"),
    ("StockStatus", "Available Low Medium High Unavailable"),
    ("PodStatusEnum", "PROVISIONING PENDING ACTIVE STOPPED ERROR DELETING UNKNOWN TERMINATED"),
    ("InstallationStatusEnum", "PENDING ACTIVE FINISHED ERROR TERMINATED"),
    ("PodTypeEnum", "HOSTED EXTERNAL"),
    ("ResourceType", "Instance Cluster Disk Sandbox Inference Image Training"),
    ("DiskStatusEnum", "PROVISIONING PENDING ACTIVE STOPPED ERROR DELETING UNKNOWN TERMINATED"),
    ("AttachableResourceType", "DISK"),
    ("AttachableResourceStatus", "UNATTACHED ATTACHED MOUNTED"),
    ("Currency", "USD EUR"),
    ("ProtocolEnum", "TCP UDP"),
    ("UsedByEnum", "SSH JUPYTER_NOTEBOOK WEB_SERVER"),
    ("UserRoleEnum", "ADMIN MANAGER USER"),
    ("TeamRoleEnum", "ADMIN MEMBER"),
];

fn schema<'a>(document: &'a Value, name: &str) -> &'a Value {
    &document["components"]["schemas"][name]
}

fn reference(schema: &Value) -> &str {
    schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()).unwrap_or_default()
}

/// Whether null is among what the schema allows.
fn may_be_null(schema: &Value) -> bool {
    let has = |list: &Value, null: &Value| list.as_array().is_some_and(|list| list.contains(null));
    has(&schema["type"], &json!("null"))
        || schema["anyOf"].as_array().is_some_and(|choices| choices.iter().any(may_be_null))
        || schema["type"] == "null"
        || schema == true
        || schema.as_object().is_some_and(|map| !map.contains_key("type") && !map.contains_key("$ref"))
            && schema["anyOf"].is_null()
}

/// The published keys of a table's line, without their marks.
fn keys(line: &str) -> impl Iterator<Item = (&str, bool, bool)> {
    line.split_whitespace()
        .map(|key| (key.trim_end_matches(['?', '!']), key.ends_with('?'), key.ends_with('!')))
}

#[test]
fn every_published_call_is_served_with_its_parameters() {
    let document = contract().json;
    let mut wrong = Vec::new();
    for (method, path, parameters, shape) in calls() {
        let operation = &document["paths"][format!("/api/v1{path}")][method];
        if operation.is_null() {
            wrong.push(format!("{method} {path} is not served"));
            continue;
        }
        if operation[ADDITION] == true {
            wrong.push(format!("{method} {path} is published, not ours"));
        }
        for (name, least) in parameters {
            let ours = operation["parameters"].as_array().unwrap().iter().find(|one| one["name"] == name);
            let Some(ours) = ours else {
                wrong.push(format!("{method} {path}: no parameter {name}"));
                continue;
            };
            for (key, value) in least.as_object().unwrap() {
                if ours["schema"][key] != *value {
                    wrong.push(format!(
                        "{method} {path} {name}: {key} is {}, not {value}",
                        ours["schema"][key]
                    ));
                }
            }
        }
        let reply = &operation["responses"]["200"]["content"]["application/json"]["schema"];
        if !has_shape(&document, reply, shape) {
            wrong.push(format!("{method} {path}: {reply} is not {shape}"));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

fn has_shape(document: &Value, reply: &Value, shape: &str) -> bool {
    let envelope = &schema(document, reference(reply))["properties"];
    let is = |value: &Value, name: &str| reference(value) == name;
    match shape.split_once(" of ") {
        None if shape == "any" => true,
        None if shape == "with status" => envelope["status"].is_object(),
        None => is(reply, shape),
        Some(("page", row)) => {
            ["total_count", "offset", "limit", "status"].iter().all(|key| envelope[key].is_object())
                && is(&envelope["data"]["items"], row)
        }
        Some(("items", row)) => envelope["totalCount"].is_object() && is(&envelope["items"]["items"], row),
        Some(("data", inner)) => {
            let data =
                inner.strip_prefix("list of ").map_or(&envelope["data"], |_| &envelope["data"]["items"]);
            envelope["status"].is_object() && is(data, inner.trim_start_matches("list of "))
        }
        Some(other) => panic!("an unknown shape {other:?}"),
    }
}

#[test]
fn every_call_that_is_not_published_is_marked_as_ours() {
    let document = contract().json;
    let published: BTreeSet<(String, &str)> =
        calls().iter().map(|(method, path, ..)| (format!("/api/v1{path}"), *method)).collect();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let is_published = published.contains(&(path.clone(), method.as_str()));
            assert!(is_published || operation[ADDITION] == true, "{method} {path}: add `.ours()`");
        }
    }
}

#[test]
fn replies_have_every_published_key_and_null_only_where_it_is_published() {
    let document = contract().json;
    for (name, line) in REPLIES {
        let ours = schema(&document, name);
        assert!(!ours.is_null(), "{name} is not there");
        for (key, nullable, _) in keys(line) {
            let property = &ours["properties"][key];
            assert!(!property.is_null(), "{name} has no {key}");
            assert!(nullable || !may_be_null(property), "{name}.{key} may be null, and is not published so");
        }
        no_other_keys(name, ours, line);
        let required = ours["required"].as_array().map_or(0, Vec::len);
        assert_eq!(
            required,
            ours["properties"].as_object().unwrap().len(),
            "{name}: each key is always there"
        );
    }
}

#[test]
fn requests_ask_for_no_more_than_is_published() {
    let document = contract().json;
    for (name, line) in REQUESTS {
        let ours = schema(&document, name);
        for (key, nullable, required) in keys(line) {
            let property = &ours["properties"][key];
            assert!(!property.is_null(), "{name} has no {key}");
            assert!(!nullable || may_be_null(property), "{name}.{key} must take null");
            let is_required = ours["required"].as_array().is_some_and(|list| list.contains(&json!(key)));
            assert_eq!(is_required, required, "{name}.{key}");
        }
        no_other_keys(name, ours, line);
    }
    for name in ["PodRequestConfig", "DiskRequestConfig"] {
        assert_eq!(schema(&document, name)["additionalProperties"], false, "{name}");
    }
    for name in ["DiskRequestConfig", "PatchDisk", "APIDiskConfig"] {
        let longest = &schema(&document, name)["properties"]["name"]["maxLength"];
        assert_eq!(*longest, 255, "{name}.name");
    }
}

fn no_other_keys(name: &str, ours: &Value, line: &str) {
    let published: BTreeSet<&str> = keys(line).map(|(key, ..)| key).collect();
    for (key, property) in ours["properties"].as_object().unwrap() {
        assert!(
            published.contains(key.as_str()) || property[ADDITION] == true,
            "{name}.{key} is not published: mark it with `extend(\"{ADDITION}\" = true)`",
        );
    }
}

#[test]
fn enumerations_are_the_published_ones() {
    let document = contract().json;
    for (name, line) in WORDS {
        let ours = schema(&document, name);
        let words: Vec<&str> = ours["enum"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        assert_eq!(words, line.split_whitespace().collect::<Vec<_>>(), "{name}");
    }
}

/// Where the files lie that the page of compatibility names.
fn test_file(name: &str) -> std::path::PathBuf {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    match name.split_once('/') {
        None => root.join("crates/podbay-testkit/tests/it").join(name),
        Some(("person", _)) => root.join("xtask/src").join(name),
        Some(("real", _)) => root.join("crates/podbay/tests").join(name),
        Some(_) => root.join(name),
    }
}

#[test]
fn the_compatibility_page_names_every_call_and_tests_that_exist() {
    let page = include_str!("../../../../docs/compatibility.md");
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
    let published = calls().into_iter().map(|(method, path, ..)| format!("{} {path}", method.to_uppercase()));
    for call in published.chain(["GET /pods/{id}/logs".to_owned()]) {
        let row = rows.iter().find(|row| row.starts_with(&format!("| `{call}` | ●")));
        let row = row.unwrap_or_else(|| panic!("{call} has no row with ●"));
        assert!(row.contains(".rs`"), "{call}: which test proves it?");
    }
    let files = page.split('`').skip(1).step_by(2).filter(|code| code.ends_with(".rs"));
    let absent: Vec<&str> = files.filter(|name| !test_file(name).is_file()).collect();
    assert_eq!(absent, Vec::<&str>::new(), "the page names tests that are not there");
}
