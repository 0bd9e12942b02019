//! A registry of images, just large enough to be pulled from.
//!
//! | repository | what is special |
//! |---|---|
//! | `open/app` | two layers, one of them slow enough to show progress |
//! | `closed/app` | the same, for [`USER`] with [`PASSWORD`] only |
//! | `foreign/app` | exists for another platform only |
//! | `broken/app` | every answer is 503 |

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

pub const USER: &str = "someone";
/// Its encoding differs between the two alphabets of base 64.
pub const PASSWORD: &str = "p?~>>?ss~~?w>rd";
/// `USER:PASSWORD` in base 64.
const AUTHORIZATION: &str = "Basic c29tZW9uZTpwP34+Pj9zc35+P3c+cmQ=";

const SLOW_LAYER_BYTES: usize = 6_000_000;
const PIECE_BYTES: usize = 200_000;
const PIECE_EVERY: Duration = Duration::from_millis(100);

struct Content {
    bytes: Vec<u8>,
    kind: &'static str,
}

/// Serves until the runtime ends; gives the port.
pub async fn serve(folder: &Path) -> u16 {
    let content = Arc::new(content(folder));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // A client that goes away in the middle is no concern of ours.
            tokio::spawn({
                let content = content.clone();
                async move { answer(stream, &content).await }
            });
        }
    });
    port
}

/// Blobs and manifests by digest, and manifests by `repository:tag`.
fn content(folder: &Path) -> HashMap<String, Content> {
    let mut all = HashMap::new();
    let mut add = |bytes: Vec<u8>, kind: &'static str| {
        let path = folder.join("hashed");
        fs::write(&path, &bytes).unwrap();
        let output = Command::new("sha256sum").arg(&path).output().unwrap();
        let digest = format!("sha256:{}", &String::from_utf8(output.stdout).unwrap()[..64]);
        let size = bytes.len();
        all.insert(digest.clone(), Content { bytes, kind });
        (digest, size)
    };
    let layer = |name: &str, size: usize| {
        let tree = folder.join(name);
        fs::create_dir_all(&tree).unwrap();
        // Noise, so that nothing on the way can shrink it.
        let noise = (0..size).scan(7_u32, |state, _| {
            *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            Some((*state >> 24) as u8)
        });
        fs::write(tree.join(name), noise.collect::<Vec<u8>>()).unwrap();
        Command::new("tar").arg("-cC").arg(&tree).arg(".").output().unwrap().stdout
    };
    let layer_kind = "application/vnd.oci.image.layer.v1.tar";
    let (small, small_size) = add(layer("small", 10), layer_kind);
    let (large, large_size) = add(layer("large", SLOW_LAYER_BYTES), layer_kind);
    let here = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let config = format!(
        r#"{{"architecture":"{here}","os":"linux","config":{{"Cmd":["run"],"ExposedPorts":{{"80/tcp":{{}}}}}},
        "rootfs":{{"type":"layers","diff_ids":["{small}","{large}"]}}}}"#
    );
    let (config, config_size) = add(config.into_bytes(), "application/vnd.oci.image.config.v1+json");
    let manifest_kind = "application/vnd.oci.image.manifest.v1+json";
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"{manifest_kind}",
        "config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{config}","size":{config_size}}},
        "layers":[{{"mediaType":"{layer_kind}","digest":"{small}","size":{small_size}}},
        {{"mediaType":"{layer_kind}","digest":"{large}","size":{large_size}}}]}}"#
    )
    .into_bytes();
    let (digest, size) = add(manifest.clone(), manifest_kind);
    let index_kind = "application/vnd.docker.distribution.manifest.list.v2+json";
    let index = format!(
        r#"{{"schemaVersion":2,"mediaType":"{index_kind}","manifests":[{{"mediaType":
        "application/vnd.docker.distribution.manifest.v2+json","digest":"{digest}","size":{size},
        "platform":{{"architecture":"s390x","os":"linux"}}}}]}}"#
    )
    .into_bytes();
    add(index.clone(), index_kind);
    for repository in ["open/app", "closed/app"] {
        all.insert(format!("{repository}:latest"), Content { bytes: manifest.clone(), kind: manifest_kind });
    }
    all.insert("foreign/app:latest".into(), Content { bytes: index, kind: index_kind });
    all
}

async fn answer(mut stream: TcpStream, content: &HashMap<String, Content>) -> std::io::Result<()> {
    let (reader, mut writer) = stream.split();
    let mut lines = BufReader::new(reader).lines();
    let Some(first) = lines.next_line().await? else { return Ok(()) };
    let mut authorized = false;
    while let Some(line) = lines.next_line().await?.filter(|line| !line.is_empty()) {
        authorized |= line.split_once(": ").is_some_and(|(_, value)| value == AUTHORIZATION);
    }
    let mut words = first.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let path = path.trim_start_matches("/v2/");
    let (status, found) = if path.starts_with("broken/") {
        ("503 Service Unavailable", None)
    } else if path.starts_with("closed/") && !authorized {
        ("401 Unauthorized", None)
    } else if path.is_empty() {
        // Engines ask here first how to log in, and send nothing to a registry that wants nothing.
        (if authorized { "200 OK" } else { "401 Unauthorized" }, None)
    } else {
        let key = path.split_once("/blobs/").map(|(_, digest)| digest.to_owned());
        let key = key.or_else(|| {
            let (repository, version) = path.split_once("/manifests/")?;
            Some(if version.contains(':') { version.to_owned() } else { format!("{repository}:{version}") })
        });
        let found = key.and_then(|key| content.get(&key));
        (if found.is_some() { "200 OK" } else { "404 Not Found" }, found)
    };
    let error = match &status[..3] {
        "401" => r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#,
        "404" => r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#,
        _ => "{}",
    };
    let (body, kind) =
        found.map_or((error.as_bytes(), "application/json"), |found| (&found.bytes[..], found.kind));
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\
         Docker-Distribution-Api-Version: registry/2.0\r\nWWW-Authenticate: Basic realm=\"test\"\r\n\r\n",
        body.len()
    );
    writer.write_all(head.as_bytes()).await?;
    if method != "HEAD" {
        let mut pace = tokio::time::interval(PIECE_EVERY);
        for piece in body.chunks(PIECE_BYTES) {
            pace.tick().await;
            writer.write_all(piece).await?;
        }
    }
    writer.shutdown().await
}
