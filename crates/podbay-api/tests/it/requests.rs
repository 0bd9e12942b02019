//! The small requests.

use podbay_api::FieldError;
use podbay_api::api_keys::CreateApiKey;
use podbay_api::ssh_keys::{AddSshKey, PatchSshKey};
use podbay_core::Timestamp;
use podbay_core::permission::{Level, Scope, Scopes};
use serde_json::json;

fn told<T>(result: Result<T, Vec<FieldError>>) -> Vec<String> {
    result.map_or_else(|errors| errors.iter().map(ToString::to_string).collect(), |_| vec![])
}

#[test]
fn an_ssh_key_to_add() {
    let key =
        AddSshKey::parse(&json!({"name": "laptop", "publicKey": "ssh-ed25519 AAAA", "more": 1})).unwrap();
    assert_eq!(
        serde_json::to_value(&key).unwrap(),
        json!({"name": "laptop", "publicKey": "ssh-ed25519 AAAA"})
    );
    assert_eq!(
        told(AddSshKey::parse(&json!({}))),
        ["body.name: field required", "body.publicKey: field required"]
    );
    assert_eq!(
        told(AddSshKey::parse(&json!({"name": " ", "publicKey": "\n"}))),
        ["body.name: must not be empty", "body.publicKey: must not be empty"]
    );
    let long = "x".repeat(8 * 1024 + 1);
    assert_eq!(
        told(AddSshKey::parse(&json!({"name": null, "publicKey": long}))),
        ["body.name: must be a string", "body.publicKey: must have at most 8192 bytes"]
    );
}

#[test]
fn a_key_can_only_be_made_primary() {
    assert!(PatchSshKey::parse(&json!({"isPrimary": true})).unwrap().is_primary);
    for body in [json!({"isPrimary": false}), json!({"isPrimary": 1}), json!({"isPrimary": null})] {
        assert_eq!(told(PatchSshKey::parse(&body)), ["body.isPrimary: must be true"]);
    }
    assert_eq!(told(PatchSshKey::parse(&json!({}))), ["body.isPrimary: field required"]);
}

#[test]
fn an_api_key_to_make() {
    let body = json!({"name": "ci", "scopes": {"instances": "write", "availability": "read", "disks": null},
        "expiresAt": "2026-08-20T12:00:00.123+02:00"});
    let key = CreateApiKey::parse(&body).unwrap();
    let scopes =
        Scopes::default().with(Scope::Instances, Level::Write).with(Scope::Availability, Level::Read);
    assert_eq!(key.scopes, scopes);
    assert_eq!(key.expires_at, Some(Timestamp::from_millis(1_787_220_000_123)));
    let wire = serde_json::to_value(&key).unwrap();
    assert_eq!(wire["expiresAt"], "2026-08-20T10:00:00.123000Z");
    assert_eq!(CreateApiKey::parse(&wire).unwrap(), key);
    assert_eq!(CreateApiKey::parse(&json!({"name": "ci", "scopes": {}})).unwrap().expires_at, None);
}

#[test]
fn what_is_wrong_with_an_api_key() {
    let body =
        json!({"scopes": {"instances": "all", "root": "write"}, "expiresAt": "tomorrow", "admin": true});
    assert_eq!(
        told(CreateApiKey::parse(&body)),
        [
            "body.name: field required",
            "body.scopes.instances: must be none, read or write",
            "body.scopes.root: extra fields not permitted",
            "body.expiresAt: must be a time such as 2030-01-31T00:00:00Z",
            "body.admin: extra fields not permitted",
        ]
    );
}
