//! The files that the agent finds in `/.podbay/pod/`.

use crate::app::{App, Error};
use podbay_core::PodId;
use podbay_core::pod::{ImageFact, JUPYTER_PORT, Pod, SSH_PORT};
use podbay_provider::File;
use podbay_store::Door;
use russh::keys::PrivateKey;
use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::private::{Ed25519Keypair, KeypairData};
use sha2::{Digest, Sha256};

/// Everything a machine of this pod needs.
pub(super) async fn all(app: &App, pod: &Pod, image: &ImageFact) -> Result<Vec<File>, Error> {
    let template = pod.spec.template.as_ref();
    let config = serde_json::json!({
        "pod_id": pod.id.as_str(),
        "ssh_port": SSH_PORT,
        "command": template.and_then(|template| template.command.as_ref()).unwrap_or(&image.command),
        "working_dir": image.working_dir,
        "user": image.user,
        "service": pod.spec.jupyter.as_ref().map(|_| jupyter_service()),
    });
    let mut files = vec![
        File { name: "config.json", bytes: config.to_string().into_bytes() },
        File { name: "host_key", bytes: host_key(&app.host_key_secret, &pod.id)?.into_bytes() },
    ];
    files.extend(authorized_keys(app, &[Door::of(pod)]).await?);
    if let Some(hash) = &pod.spec.jupyter {
        // The second name is that of newer versions; each ignores what it does not know.
        let config = serde_json::json!({
            "ServerApp": { "password": hash },
            "PasswordIdentityProvider": { "hashed_password": hash },
        });
        files.push(File { name: JUPYTER_CONFIG, bytes: config.to_string().into_bytes() });
    }
    Ok(files)
}

/// How Jupyter names the file that it looks for in each folder of its configuration.
const JUPYTER_CONFIG: &str = "jupyter_server_config.json";

/// What the agent starts beside the pod's command. The password is in a file: arguments are for all to see.
fn jupyter_service() -> serde_json::Value {
    let port = format!("--port={JUPYTER_PORT}");
    serde_json::json!({
        "name": "Jupyter",
        "command": ["jupyter-lab", "--ip=0.0.0.0", port, "--port-retries=0", "--no-browser", "--allow-root"],
        "env": { "JUPYTER_CONFIG_PATH": "/.podbay/pod" },
    })
}

/// The keys that each of the pods lets in now.
pub(crate) async fn authorized_keys(app: &App, pods: &[Door]) -> Result<Vec<File>, Error> {
    let all = app.store.reader().await?.ssh_keys_of_pods(pods).await?;
    let file = |keys: Vec<podbay_store::SshKeyRecord>| {
        let lines: String = keys.iter().map(|key| format!("{}\n", key.public_key)).collect();
        File { name: "authorized_keys", bytes: lines.into_bytes() }
    };
    Ok(all.into_iter().map(file).collect())
}

/// A pod's SSH host key: a function of the installation's secret and the pod's id, so that it
/// stays the same over attempts and restarts without being stored.
fn host_key(secret: &[u8; 32], pod: &PodId) -> Result<String, Error> {
    let mut hash = Sha256::new();
    hash.update(b"podbay ssh host key v1\0");
    hash.update(secret);
    hash.update(pod.as_str());
    let seed: [u8; 32] = hash.finalize().into();
    let pair = KeypairData::Ed25519(Ed25519Keypair::from_seed(&seed));
    let key = PrivateKey::new(pair, format!("podbay {pod}")).and_then(|key| key.to_openssh(LineEnding::LF));
    let text = key.map_err(|error| Error::Internal(format!("make an SSH host key: {error}")))?;
    Ok(text.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_key_is_stable_for_a_pod_and_differs_between_pods() {
        let public = |bits: u128| {
            let text = host_key(&[7; 32], &PodId::from_bits(bits)).unwrap();
            PrivateKey::from_openssh(text).unwrap().public_key().key_data().clone()
        };
        assert_eq!(public(1), public(1));
        assert_ne!(public(1), public(2));
    }
}
