//! `/ssh_keys`.

use super::{Operation, delete, get, patch, post};
use crate::OffsetPage;
use crate::paths::{SSH_KEY, SSH_KEYS};
use crate::ssh_keys::{AddSshKey, PatchSshKey, SshKey, SshKeyUpdated};
use serde_json::json;

pub(super) fn operations() -> Vec<Operation> {
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH me@laptop";
    vec![
        get(SSH_KEYS, "listSshKeys", "SSH keys of the account").asks_for_part().gives::<OffsetPage<SshKey>>(),
        post(SSH_KEYS, "addSshKey", "Add an SSH key")
            .about("It is installed in all pods of the account, also in those that run already.")
            .takes::<AddSshKey>(json!({ "name": "laptop", "publicKey": key }))
            .gives::<SshKey>(),
        delete(SSH_KEY, "deleteSshKey", "Delete an SSH key")
            .about("It is taken out of all running pods of the account."),
        patch(SSH_KEY, "setPrimarySshKey", "Make an SSH key the primary one")
            .takes::<PatchSshKey>(json!({ "isPrimary": true }))
            .gives::<SshKeyUpdated>(),
    ]
}
