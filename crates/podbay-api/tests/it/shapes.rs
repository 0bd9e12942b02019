//! Every answer against a payload that published clients are known to accept.

use podbay_api::api_keys::{ApiKey, ApiKeyCreated, level_map};
use podbay_api::availability::{
    CustomSpecValue, GpuAvailability, OfferMap, PriceSummary, Prices, PricingInfo,
};
use podbay_api::billing::{BillingEntry, Wallet};
use podbay_api::events::PodEvent;
use podbay_api::pods::{
    AttachedResource, Deleted, HistoryEntry, LogLine, LogReply, LogStream, Pod, PodStatusRow, PodType,
    PortMapping, ResourceType, Resources,
};
use podbay_api::ssh_keys::{SshKey, SshKeyUpdated, UpdatedFields};
use podbay_api::teams::{Invitation, InvitationCreated, Joined, Member, Team};
use podbay_api::users::{WhoAmI, scope_map};
use podbay_api::{Data, Empty, NumberedPage, OffsetPage, OneOrMany, Term};
use podbay_core::permission::{Level, Scope, Scopes};
use podbay_core::published::{
    AttachableStatus, AttachableType, Currency, GpuType, ImageName, InstallationStatus, PodStatus, Protocol,
    ProviderType, Region, Security, Socket, StockStatus, TeamRole, UsedBy, UserRole,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Debug;

/// `value` is written as `wire`, keys in any order, and read back from it.
#[track_caller]
fn both_ways<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T, wire: &Value) {
    assert_eq!(&serde_json::to_value(value).unwrap(), wire);
    assert_eq!(&serde_json::from_value::<T>(wire.clone()).unwrap(), value);
}

fn ssh_port() -> PortMapping {
    PortMapping {
        internal: "22".into(),
        external: "2222".into(),
        protocol: Protocol::Tcp.into(),
        used_by: Some(UsedBy::Ssh.into()),
        description: None,
    }
}

fn pod() -> Pod {
    Pod {
        id: "pod1".into(),
        user_id: "u1".into(),
        team_id: None,
        wallet_id: Some("w1".into()),
        name: "test-head".into(),
        kind: PodType::Hosted.into(),
        provider_type: ProviderType::Primecompute.into(),
        status: PodStatus::Active.into(),
        installation_status: InstallationStatus::Finished.into(),
        installation_failure: None,
        installation_progress: Some(100),
        created_at: "2026-08-20T10:00:00.000000Z".into(),
        updated_at: "2026-08-20T10:01:00.000000Z".into(),
        terminated_at: None,
        gpu_name: GpuType::A100x80.into(),
        gpu_count: 1,
        socket: Some(Socket::Pcie.into()),
        price_hr: 1.5,
        stopped_price_hr: None,
        provisioning_price_hr: Some(0.0),
        environment_type: Some(ImageName::Ubuntu22Cuda12.into()),
        custom_template_id: None,
        cluster_id: None,
        prime_port_mapping: vec![ssh_port()],
        ssh_connection: Some("root@127.0.0.1 -p 2222".to_owned().into()),
        ip: Some("127.0.0.1".to_owned().into()),
        resources: Some(Resources { memory: Some(64), disk: Some(100), shared_disk: None, vcpus: Some(8) }),
        attached_resources: vec![],
        is_spot: Some(false),
        auto_restart: Some(false),
    }
}

fn pod_wire() -> Value {
    json!({
        "id": "pod1", "userId": "u1", "teamId": null, "walletId": "w1", "name": "test-head", "type": "HOSTED",
        "providerType": "primecompute", "status": "ACTIVE", "installationStatus": "FINISHED",
        "installationFailure": null, "installationProgress": 100, "createdAt": "2026-08-20T10:00:00.000000Z",
        "updatedAt": "2026-08-20T10:01:00.000000Z", "terminatedAt": null, "gpuName": "A100_80GB", "gpuCount": 1,
        "socket": "PCIe", "priceHr": 1.5, "stoppedPriceHr": null, "provisioningPriceHr": 0.0,
        "environmentType": "ubuntu_22_cuda_12", "customTemplateId": null, "clusterId": null,
        "primePortMapping": [
            {"internal": "22", "external": "2222", "protocol": "TCP", "usedBy": "SSH", "description": null}
        ],
        "sshConnection": "root@127.0.0.1 -p 2222", "ip": "127.0.0.1",
        "resources": {"memory": 64, "disk": 100, "vcpus": 8, "shared_disk": null},
        "attachedResources": [], "isSpot": false, "autoRestart": false
    })
}

#[test]
fn a_pod() {
    both_ways(&pod(), &pod_wire());
}

#[test]
fn a_fresh_pod_has_null_where_nothing_is_known() {
    let fresh = Pod {
        status: PodStatus::Provisioning.into(),
        installation_status: InstallationStatus::Pending.into(),
        installation_progress: None,
        ssh_connection: None,
        ip: None,
        ..pod()
    };
    let mut wire = pod_wire();
    wire["status"] = json!("PROVISIONING");
    wire["installationStatus"] = json!("PENDING");
    for key in ["installationProgress", "sshConnection", "ip"] {
        wire[key] = Value::Null;
    }
    both_ways(&fresh, &wire);
}

#[test]
fn the_keys_of_a_pod_come_in_the_published_order() {
    let text = serde_json::to_string(&pod()).unwrap();
    let place = |key: &str| text.find(&format!("\"{key}\":")).unwrap();
    let keys = [
        "id",
        "userId",
        "walletId",
        "type",
        "status",
        "createdAt",
        "gpuName",
        "priceHr",
        "ip",
        "autoRestart",
    ];
    assert!(keys.windows(2).all(|pair| place(pair[0]) < place(pair[1])), "{text}");
}

#[test]
fn a_pod_of_another_server_is_read_though_it_has_new_words_and_lists() {
    let mut wire = pod_wire();
    wire["gpuName"] = json!("Z9000_999GB");
    wire["status"] = json!("HIBERNATED");
    wire["sshConnection"] = json!([null, "root@10.0.0.2 -p 22"]);
    wire["primePortMapping"] = Value::Null;
    wire["basePriceHr"] = json!(1);
    let read: Pod = serde_json::from_value(wire).unwrap();
    assert_eq!(read.gpu_name, Term::Other("Z9000_999GB".into()));
    assert_eq!(read.status.to_string(), "HIBERNATED");
    assert_eq!(read.ssh_connection.as_ref().and_then(OneOrMany::first), Some("root@10.0.0.2 -p 22"));
    assert!(read.prime_port_mapping.is_empty());
}

#[test]
fn an_attached_disk() {
    let disk = AttachedResource {
        kind: AttachableType::Disk.into(),
        id: "d1".into(),
        status: AttachableStatus::Attached.into(),
        is_detachable: true,
        mount_path: Some("/workspace".into()),
        resource_path: None,
        size: Some(10),
        is_shared: Some(false),
    };
    let wire = json!({"resourceType": "DISK", "id": "d1", "status": "ATTACHED", "isDetachable": true,
        "mountPath": "/workspace", "resourcePath": null, "size": 10, "isShared": false});
    both_ways(&disk, &wire);
}

#[test]
fn a_status_row_in_its_envelope() {
    let row = PodStatusRow {
        pod_id: "pod1".into(),
        provider_type: ProviderType::Primecompute.into(),
        status: PodStatus::Active.into(),
        ssh_connection: Some("root@127.0.0.1 -p 2222".to_owned().into()),
        ip: Some("127.0.0.1".to_owned().into()),
        price_hr: Some(1.5),
        cost_per_hr: Some(1.5),
        prime_port_mapping: vec![],
        installation_status: Some(InstallationStatus::Finished.into()),
        installation_failure: None,
        installation_progress: Some(100),
    };
    let wire = json!({"data": [{"podId": "pod1", "providerType": "primecompute", "status": "ACTIVE",
        "sshConnection": "root@127.0.0.1 -p 2222", "ip": "127.0.0.1", "priceHr": 1.5, "costPerHr": 1.5,
        "primePortMapping": [], "installationStatus": "FINISHED", "installationFailure": null,
        "installationProgress": 100}], "status": null});
    both_ways(&Data::of(vec![row]), &wire);
}

#[test]
fn a_part_of_the_history() {
    let entry = HistoryEntry {
        id: "pod1".into(),
        name: "n".into(),
        provider_type: ProviderType::Primecompute.into(),
        provisioned_by: Some("Ada".into()),
        kind: ResourceType::Instance.into(),
        created_at: "2026-08-20T10:00:00.000000Z".into(),
        terminated_at: Some("2026-08-20T11:00:00.000000Z".into()),
        gpu_name: "A100_80GB".into(),
        gpu_count: 1,
        socket: Some(Socket::Pcie.into()),
        price_hr: 1.5,
        user_id: "u1".into(),
        team_id: None,
        total_billed_price: 1.5,
    };
    let page = OffsetPage { total_count: 1, offset: 0, limit: 100, data: vec![entry], status: None };
    let wire = json!({"total_count": 1, "offset": 0, "limit": 100, "data": [{"id": "pod1", "name": "n",
        "providerType": "primecompute", "provisionedBy": "Ada", "type": "Instance",
        "createdAt": "2026-08-20T10:00:00.000000Z", "terminatedAt": "2026-08-20T11:00:00.000000Z",
        "gpuName": "A100_80GB", "gpuCount": 1, "socket": "PCIe", "priceHr": 1.5, "userId": "u1", "teamId": null,
        "totalBilledPrice": 1.5}], "status": null});
    both_ways(&page, &wire);
}

#[test]
fn small_answers() {
    both_ways(&Deleted { status: PodStatus::Terminated.into() }, &json!({"status": "TERMINATED"}));
    both_ways(&Empty {}, &json!({}));
    let lines = [(LogStream::Stdout, "a"), (LogStream::Stderr, "b")].map(|(stream, line)| LogLine {
        timestamp: None,
        stream,
        line: line.into(),
    });
    let wire = json!({"logs": [{"timestamp": null, "stream": "stdout", "line": "a"},
        {"timestamp": null, "stream": "stderr", "line": "b"}]});
    both_ways(&LogReply { logs: lines.into() }, &wire);
    let event = PodEvent { seq: 7, at: "t".into(), kind: "machine.created".into(), text: "made".into() };
    both_ways(&event, &json!({"seq": 7, "at": "t", "kind": "machine.created", "text": "made"}));
}

fn spec_wire(min: Value, default: Value, max: Value) -> Value {
    json!({"minCount": min, "defaultCount": default, "maxCount": max, "pricePerUnit": null, "step": null,
        "defaultIncludedInPrice": null, "additionalInfo": null})
}

fn offer() -> GpuAvailability {
    GpuAvailability {
        cloud_id: "a100x1".into(),
        gpu_type: GpuType::A100x80.into(),
        socket: Some(Socket::Pcie.into()),
        provider: Some(ProviderType::Primecompute.into()),
        region: Some(Region::UnitedStates.into()),
        data_center: Some("dc-1".into()),
        country: Some("US".into()),
        gpu_count: 1,
        gpu_memory: 80,
        disk: CustomSpecValue { min_count: Some(10), max_count: Some(1000), ..CustomSpecValue::fixed(100) },
        shared_disk: CustomSpecValue::default(),
        vcpu: CustomSpecValue::fixed(8),
        memory: CustomSpecValue::fixed(64),
        internet_speed: None,
        interconnect: None,
        interconnect_type: None,
        provisioning_time: None,
        stock_status: StockStatus::Available.into(),
        security: Some(Security::SecureCloud.into()),
        prices: Prices {
            on_demand: Some(1.5),
            community_price: None,
            is_variable: None,
            currency: Some(Currency::Usd.into()),
        },
        images: vec![ImageName::Ubuntu22Cuda12.into(), ImageName::Cuda126Pytorch27.into()],
        is_spot: None,
        prepaid_time: None,
    }
}

fn offer_wire() -> Value {
    let null = || Value::Null;
    json!({"cloudId": "a100x1", "gpuType": "A100_80GB", "socket": "PCIe", "provider": "primecompute",
        "region": "united_states", "dataCenter": "dc-1", "country": "US", "gpuCount": 1, "gpuMemory": 80,
        "disk": spec_wire(json!(10), json!(100), json!(1000)), "sharedDisk": spec_wire(null(), null(), null()),
        "vcpu": spec_wire(null(), json!(8), null()), "memory": spec_wire(null(), json!(64), null()),
        "internetSpeed": null, "interconnect": null, "interconnectType": null, "provisioningTime": null,
        "stockStatus": "Available", "security": "secure_cloud",
        "prices": {"onDemand": 1.5, "communityPrice": null, "isVariable": null, "currency": "USD"},
        "images": ["ubuntu_22_cuda_12", "cuda_12_6_pytorch_2_7"], "isSpot": null, "prepaidTime": null})
}

#[test]
fn offers_as_a_page_and_as_a_map() {
    both_ways(
        &NumberedPage { items: vec![offer()], total_count: 1 },
        &json!({"items": [offer_wire()], "totalCount": 1}),
    );
    let map: OfferMap = BTreeMap::from([("A100_80GB".to_owned(), vec![offer()])]);
    both_ways(&map, &json!({"A100_80GB": [offer_wire()]}));
}

#[test]
fn a_community_price_wins_even_if_it_is_zero() {
    let mut prices = offer().prices;
    assert_eq!(prices.effective(), Some(1.5));
    prices.community_price = Some(0.0);
    assert_eq!(prices.effective(), Some(0.0));
}

#[test]
fn the_price_summary() {
    let info = Some(PricingInfo { on_demand: Some(1.5), ..PricingInfo::default() });
    let row = BTreeMap::from([("cheapest".to_owned(), info), ("united_states".to_owned(), info)]);
    let summary: PriceSummary =
        BTreeMap::from([("A100_80GB".to_owned(), BTreeMap::from([("1".to_owned(), row)]))]);
    let cell = json!({"onDemand": 1.5, "communityPrice": null, "spotPrice": null});
    both_ways(&summary, &json!({"A100_80GB": {"1": {"cheapest": cell, "united_states": cell}}}));
}

#[test]
fn ssh_keys() {
    let key = SshKey {
        id: "k1".into(),
        user_id: "u1".into(),
        name: "laptop".into(),
        public_key: "ssh-ed25519 AAAA me".into(),
        is_primary: true,
        is_user_key: true,
        created_at: "t".into(),
        updated_at: "t".into(),
    };
    let wire = json!({"id": "k1", "userId": "u1", "name": "laptop", "publicKey": "ssh-ed25519 AAAA me",
        "isPrimary": true, "isUserKey": true, "createdAt": "t", "updatedAt": "t"});
    both_ways(&key, &wire);
    let updated =
        SshKeyUpdated { message: "done".into(), updated_fields: UpdatedFields { is_primary: true } };
    both_ways(&updated, &json!({"message": "done", "updated_fields": {"isPrimary": true}}));
}

#[test]
fn whoami_shows_scopes_as_the_clients_print_them() {
    let scopes = Scopes::default().with(Scope::Instances, Level::Write).with(Scope::SshKeys, Level::Read);
    let user = WhoAmI {
        id: "c1".into(),
        role: UserRole::Admin.into(),
        created_at: "t".into(),
        name: Some("Ada".into()),
        slug: None,
        email: Some("ada@example.org".into()),
        image: None,
        email_verified: None,
        has_beta_access: false,
        is_banned: false,
        skip_prepay: true,
        blacklist: vec![],
        scope: scope_map(&scopes),
    };
    let wire = json!({"data": {"id": "c1", "role": "ADMIN", "createdAt": "t", "name": "Ada", "slug": null,
        "email": "ada@example.org", "image": null, "emailVerified": null, "hasBetaAccess": false,
        "isBanned": false, "skipPrepay": true, "blacklist": [],
        "scope": {"availability": null, "instances": {"read": true, "write": true},
            "ssh_keys": {"read": true, "write": false}, "disks": null, "teams": null, "billing": null}},
        "status": null});
    both_ways(&Data::of(user), &wire);
}

#[test]
fn api_keys() {
    let record = ApiKey {
        id: "abc".into(),
        name: "ci".into(),
        scopes: level_map(&Scopes::default().with(Scope::Instances, Level::Write)),
        created_at: "t".into(),
        expires_at: None,
        revoked_at: None,
        last_used_at: None,
    };
    let mut wire = json!({"id": "abc", "name": "ci", "scopes": {"availability": "none", "instances": "write",
        "ssh_keys": "none", "disks": "none", "teams": "none", "billing": "none"}, "createdAt": "t",
        "expiresAt": null, "revokedAt": null, "lastUsedAt": null});
    both_ways(&record, &wire);
    wire["key"] = json!("pbk_abc_x");
    both_ways(&ApiKeyCreated { record, key: "pbk_abc_x".into() }, &wire);
}

fn team() -> Team {
    Team {
        team_id: "c1".into(),
        name: "crew".into(),
        slug: None,
        role: TeamRole::Admin.into(),
        created_at: "t".into(),
    }
}

#[test]
fn teams_members_and_invitations() {
    let wire = json!({"teamId": "c1", "name": "crew", "slug": null, "role": "ADMIN", "createdAt": "t"});
    both_ways(&team(), &wire);
    let member = Member {
        user_id: "c2".into(),
        user_name: Some("bob".into()),
        user_email: None,
        role: TeamRole::Member.into(),
        joined_at: "t".into(),
    };
    both_ways(
        &member,
        &json!({"userId": "c2", "userName": "bob", "userEmail": null, "role": "MEMBER", "joinedAt": "t"}),
    );
    let record = Invitation {
        id: "i".into(),
        team_id: "c1".into(),
        role: TeamRole::Member.into(),
        email: None,
        invited_by: "c2".into(),
        created_at: "t".into(),
        expires_at: "u".into(),
    };
    both_ways(
        &InvitationCreated { record, code: "s".into(), path: "/p".into() },
        &json!({"id": "i", "teamId": "c1", "role": "MEMBER", "email": null, "invitedBy": "c2", "createdAt": "t",
            "expiresAt": "u", "code": "s", "path": "/p"}),
    );
    both_ways(
        &Joined { team: team(), user_id: "c2".into(), key: None },
        &json!({"team": wire, "userId": "c2", "key": null}),
    );
}

#[test]
fn a_wallet() {
    let entry = BillingEntry {
        id: "e".into(),
        created_at: "t".into(),
        updated_at: "u".into(),
        last_billed_at: None,
        amount_usd: 0.5,
        currency: "USD".into(),
        resource_type: "compute".into(),
        resource_id: None,
    };
    let wallet = Wallet {
        wallet_id: "w".into(),
        team_id: None,
        balance_usd: 1.5,
        currency: "USD".into(),
        total_billings: 1,
        recent_billings: vec![entry],
    };
    let wire = json!({
        "wallet_id": "w", "team_id": null, "balance_usd": 1.5, "currency": "USD", "total_billings": 1,
        "recent_billings": [{
            "id": "e", "created_at": "t", "updated_at": "u", "last_billed_at": null, "amount_usd": 0.5,
            "currency": "USD", "resource_type": "compute", "resource_id": null,
        }],
    });
    both_ways(&wallet, &wire);
}
