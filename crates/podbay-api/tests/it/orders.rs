//! Orders of pods, as four clients send them, and as they must not be sent.

use podbay_api::error::{ErrorBody, FIELD_ERRORS_MAX};
use podbay_api::pods::{CreatePod, EnvVar};
use podbay_core::published::{GpuType, ImageName, ProviderType, Security, Socket};
use serde_json::{Map, Value, json};

/// The least that is an order.
fn least() -> Value {
    json!({"pod": {"cloudId": "a100x1", "gpuType": "A100_80GB", "socket": "PCIe", "gpuCount": 1},
        "provider": {"type": "primecompute"}})
}

fn with(key: &str, value: Value) -> Value {
    let mut body = least();
    body["pod"][key] = value;
    body
}

fn beside(key: &str, value: Value) -> Value {
    let mut body = least();
    body[key] = value;
    body
}

fn good(body: &Value) -> CreatePod {
    CreatePod::parse(body).unwrap_or_else(|errors| panic!("{body}: {errors:?}"))
}

/// What is wrong with a body, as `path: message`.
fn wrongs(body: &Value) -> Vec<String> {
    CreatePod::parse(body).map_or_else(|errors| errors.iter().map(ToString::to_string).collect(), |_| vec![])
}

#[test]
fn the_least_order() {
    let order = good(&least());
    assert_eq!(order.pod.cloud_id, "a100x1");
    assert_eq!((order.pod.gpu_type, order.pod.socket), (GpuType::A100x80, Socket::Pcie));
    assert_eq!(order.provider.kind, ProviderType::Primecompute);
    assert_eq!((order.pod.name, order.pod.image, order.pod.max_price), (None, None, None));
    assert!(!order.shared_with_team && order.pod.env_vars.is_empty());
}

#[test]
fn an_order_with_every_key_and_nulls() {
    let body = json!({
        "pod": {"name": "My first pod", "cloudId": "c", "gpuType": "H100_80GB", "socket": "SXM5", "gpuCount": 8,
            "diskSize": 120.0, "vcpus": 16, "memory": 128, "image": "cuda_12_6_pytorch_2_7",
            "dataCenterId": "dc-1", "maxPrice": null, "country": null, "security": null, "jupyterPassword": null,
            "autoRestart": false, "customTemplateId": null, "envVars": []},
        "provider": {"type": "primecompute"}, "disks": null, "team": null, "sharedWithTeam": true,
        "teamMemberIds": ["c1", "c2"], "somethingNew": {"x": 1}
    });
    let order = good(&body);
    assert_eq!((order.pod.gpu_count, order.pod.disk_size), (8, Some(120)));
    assert_eq!(order.pod.image, Some(ImageName::Cuda126Pytorch27));
    assert!(order.shared_with_team);
    assert_eq!(order.team_member_ids.as_deref(), Some(&["c1".to_owned(), "c2".to_owned()][..]));
}

#[test]
fn an_order_without_image_and_with_price_zero() {
    let body = json!({
        "pod": {"name": "x-head", "cloudId": "c", "socket": "PCIe", "gpuType": "CPU_NODE", "gpuCount": 1,
            "diskSize": 256, "maxPrice": 0, "vcpus": 8, "memory": 64, "country": "US", "dataCenterId": "dc-1"},
        "provider": {"type": "primecompute"}, "team": {"teamId": "c123"}
    });
    let order = good(&body);
    assert_eq!((order.pod.max_price, order.pod.image, order.pod.disk_size), (None, None, Some(256)));
    assert_eq!(order.team.unwrap().team_id, "c123");
}

#[test]
fn environment_is_read_as_a_list_and_as_a_map() {
    let expected =
        vec![EnvVar { key: "A".into(), value: "1=2".into() }, EnvVar { key: "_b".into(), value: "".into() }];
    let list = json!([{"key": "A", "value": "1=2"}, {"key": "_b", "value": ""}]);
    let map = json!({"A": "1=2", "_b": ""});
    assert_eq!(good(&with("envVars", list)).pod.env_vars, expected);
    assert_eq!(good(&with("envVars", map)).pod.env_vars, expected);
    assert!(good(&with("envVars", Value::Null)).pod.env_vars.is_empty());
}

#[test]
fn both_spellings_of_sharing_are_read() {
    assert!(good(&beside("shared_with_team", json!(true))).shared_with_team);
    assert!(good(&beside("sharedWithTeam", json!(true))).shared_with_team);
    let ids = Some(vec!["m".to_owned()]);
    assert_eq!(good(&beside("team_member_ids", json!(["m"]))).team_member_ids, ids);
    assert_eq!(good(&beside("teamMemberIds", json!(["m"]))).team_member_ids, ids);
}

#[test]
fn values_that_are_allowed() {
    for (key, value) in [
        ("name", json!("é ✓ spaces")),
        ("name", Value::Null),
        ("maxPrice", json!(1.25)),
        ("security", json!("secure_cloud")),
        ("security", Value::Null),
        ("image", Value::Null),
        ("prepaidForHr", json!(0.5)),
        ("gpuCount", json!(1024)),
        ("diskSize", json!(1_000_000)),
        ("sshKeyId", json!("k")),
    ] {
        good(&with(key, value));
    }
    assert_eq!(
        good(&with("security", json!("community_cloud"))).pod.security,
        Some(Security::CommunityCloud)
    );
    assert_eq!(good(&with("name", json!("  "))).pod.name, None);
}

#[test]
fn each_wrong_value_is_named_with_its_path() {
    let long = "x".repeat(256);
    let cases = [
        (with("nmae", json!("x")), "body.pod.nmae: extra fields not permitted"),
        (with("name", json!(7)), "body.pod.name: must be a string"),
        (with("name", json!("a\nb")), "body.pod.name: must have no control characters"),
        (with("name", json!(long)), "body.pod.name: must have at most 255 characters"),
        (with("cloudId", json!("")), "body.pod.cloudId: must not be empty"),
        (with("cloudId", Value::Null), "body.pod.cloudId: must be a string"),
        (
            with("gpuType", json!("a100")),
            "body.pod.gpuType: is none of the published values; take it from the offer",
        ),
        (with("socket", json!("SXM9")), "body.pod.socket: must be one of PCIe, SXM2, SXM3, SXM4, SXM5, SXM6"),
        (with("gpuCount", json!(0)), "body.pod.gpuCount: must be at least 1"),
        (with("gpuCount", json!(1.5)), "body.pod.gpuCount: must be a whole number"),
        (with("gpuCount", json!("1")), "body.pod.gpuCount: must be a whole number"),
        (with("gpuCount", json!(true)), "body.pod.gpuCount: must be a whole number"),
        (with("gpuCount", json!(1025)), "body.pod.gpuCount: must be at most 1024"),
        (with("diskSize", json!(-1)), "body.pod.diskSize: must be at least 1"),
        (with("memory", json!(1e300)), "body.pod.memory: must be at most 1000000"),
        (with("vcpus", json!(u64::MAX)), "body.pod.vcpus: must be at most 1000000"),
        (with("maxPrice", json!("1")), "body.pod.maxPrice: must be a number"),
        (with("maxPrice", json!(-0.5)), "body.pod.maxPrice: must be at least 0"),
        (with("prepaidForHr", json!(0)), "body.pod.prepaidForHr: must be more than 0"),
        (
            with("image", json!("ubuntu")),
            "body.pod.image: is none of the published values; take it from the offer",
        ),
        (with("security", json!("x")), "body.pod.security: must be one of secure_cloud, community_cloud"),
        (with("autoRestart", json!("yes")), "body.pod.autoRestart: must be true or false"),
        (with("envVars", json!("A=1")), "body.pod.envVars: must be a list of {key, value}, or a map"),
        (beside("provider", json!({})), "body.provider.type: field required"),
        (
            beside("provider", json!({"type": "me"})),
            "body.provider.type: is none of the published values; take it from the offer",
        ),
        (beside("provider", Value::Null), "body.provider: must be an object"),
        (beside("pod", json!([])), "body.pod: must be an object"),
        (beside("team", json!({})), "body.team.teamId: field required"),
        (beside("disks", json!("d")), "body.disks: must be a list"),
        (beside("disks", json!(["d", 1])), "body.disks.1: must be a string"),
        (beside("disks", json!(vec!["d"; 101])), "body.disks: at most 100 are allowed"),
        (beside("shared_with_team", json!(1)), "body.shared_with_team: must be true or false"),
        (json!([]), "body: must be an object"),
        (Value::Null, "body: must be an object"),
    ];
    for (body, expected) in cases {
        assert_eq!(wrongs(&body), [expected], "{body}");
    }
}

#[test]
fn wrong_variables_are_named_by_place() {
    let name = "the name of a variable has letters, digits and underscores, and begins with no digit";
    let list = json!([{"key": "A", "value": "1"}, {"key": "1A", "value": 2}, {"value": "x"}, "B=1", {"key": "A", "value": "2"}]);
    assert_eq!(
        wrongs(&with("envVars", list)),
        [
            format!("body.pod.envVars.1.key: {name}"),
            "body.pod.envVars.1.value: must be a string".into(),
            "body.pod.envVars.2.key: field required".into(),
            "body.pod.envVars.3.key: field required".into(),
            "body.pod.envVars.3.value: field required".into(),
            "body.pod.envVars.4.value: is given twice".into(),
        ]
    );
    assert_eq!(wrongs(&with("envVars", json!({"A-B": "x"}))), [format!("body.pod.envVars.A-B: {name}")]);
    assert_eq!(
        wrongs(&with("envVars", json!({"A": "\0"}))),
        ["body.pod.envVars.A: must not contain the zero character"]
    );
    let many: Map<String, Value> = (0..257).map(|number| (format!("V{number}"), json!(""))).collect();
    assert_eq!(
        wrongs(&with("envVars", many.into())),
        ["body.pod.envVars: at most 256 variables are allowed"]
    );
    let large = "x".repeat(32 * 1024 + 1);
    assert_eq!(
        wrongs(&with("envVars", json!({"A": large}))),
        ["body.pod.envVars.A: must have at most 32768 bytes"]
    );
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let body = json!({"pod": {"gpuCount": 0, "name": 1, "extra": null}, "provider": {}});
    let expected = json!({
        "message": "body.pod.name: must be a string; body.pod.cloudId: field required; \
            body.pod.gpuType: field required; body.pod.socket: field required; \
            body.pod.gpuCount: must be at least 1; and 2 more",
        "detail": [
            {"type": "string_type", "loc": ["body", "pod", "name"], "msg": "must be a string"},
            {"type": "missing", "loc": ["body", "pod", "cloudId"], "msg": "field required"},
            {"type": "missing", "loc": ["body", "pod", "gpuType"], "msg": "field required"},
            {"type": "missing", "loc": ["body", "pod", "socket"], "msg": "field required"},
            {"type": "greater_than_equal", "loc": ["body", "pod", "gpuCount"], "msg": "must be at least 1"},
            {"type": "extra_forbidden", "loc": ["body", "pod", "extra"], "msg": "extra fields not permitted"},
            {"type": "missing", "loc": ["body", "provider", "type"], "msg": "field required"}
        ],
        "errors": [
            {"param": "body.pod.name", "details": "must be a string"},
            {"param": "body.pod.cloudId", "details": "field required"},
            {"param": "body.pod.gpuType", "details": "field required"},
            {"param": "body.pod.socket", "details": "field required"},
            {"param": "body.pod.gpuCount", "details": "must be at least 1"},
            {"param": "body.pod.extra", "details": "extra fields not permitted"},
            {"param": "body.provider.type", "details": "field required"}
        ]
    });
    let errors = CreatePod::parse(&body).unwrap_err();
    assert_eq!(serde_json::to_value(ErrorBody::invalid(&errors)).unwrap(), expected);
}

#[test]
fn an_empty_order_names_both_parts() {
    assert_eq!(wrongs(&json!({})), ["body.pod: field required", "body.provider: field required"]);
}

#[test]
fn a_hostile_body_does_not_grow_in_the_answer() {
    let extra: Map<String, Value> =
        (0..1000).map(|number| (format!("{number}{}", "k".repeat(500)), json!(1))).collect();
    let errors = CreatePod::parse(&json!({"pod": extra})).unwrap_err();
    assert_eq!(errors.len(), FIELD_ERRORS_MAX);
    assert!(errors.iter().all(|error| error.param().chars().count() < 100));
}

#[test]
fn what_our_client_sends_is_what_is_read() {
    let body = json!({
        "pod": {"name": "n", "cloudId": "c", "gpuType": "H100_80GB", "socket": "SXM5", "gpuCount": 2, "diskSize": 1,
            "vcpus": 2, "memory": 3, "maxPrice": 4.5, "image": "ubuntu_22_cuda_12", "customTemplateId": "t",
            "dataCenterId": "d", "country": "DE", "security": "secure_cloud",
            "envVars": [{"key": "A", "value": "b"}], "jupyterPassword": "j", "sshKeyId": "k", "autoRestart": true,
            "prepaidForHr": 1.0},
        "provider": {"type": "primecompute"}, "disks": ["d"], "team": {"teamId": "t"}, "team_member_ids": ["m"],
        "shared_with_team": true
    });
    let order = good(&body);
    assert_eq!(serde_json::to_value(&order).unwrap(), body);
}
