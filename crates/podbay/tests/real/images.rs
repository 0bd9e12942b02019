//! Images that a careless agent or engine driver would stumble over: one with no file at all, one of
//! a user who is not root, and one with ports of its own. `cargo xtask test` makes them.

use crate::harness::{Real, engine_wanted, until};
use crate::openssh::{Login, active, key_added, order};
use podbay_core::published::{ImageName, Protocol};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::time::Duration;

/// A published name for each of them.
const IMAGES: &str = "[images]\n\
    ubuntu_22_cuda_12 = \"localhost/podbay/base:latest\"\n\
    flux = \"localhost/podbay/empty:latest\"\n\
    axolotl = \"localhost/podbay/nonroot:latest\"\n\
    hivemind = \"localhost/podbay/web:latest\"\n";
const EMPTY: ImageName = ImageName::Flux;
const NONROOT: ImageName = ImageName::Axolotl;
const WEB: ImageName = ImageName::Hivemind;

/// A pod of that image that one can log in to; its id, too.
async fn pod(real: &Real, image: ImageName, identity: &std::path::Path) -> (String, Login) {
    let mut order = order(image.as_str());
    order.pod.image = Some(image);
    let client = real.client();
    let id = client.pod_create(&order).await.unwrap().id;
    let connection = active(&client, &id).await;
    (id, Login::new(identity, &connection))
}

/// Deletes all pods there are, and sees that no container is left.
async fn deleted(real: &Real, ids: &[&str]) {
    let client = real.client();
    for id in ids {
        client.pod_delete(id).await.unwrap();
    }
    until("every pod is gone", Duration::from_secs(30), async || {
        client.pods_all().await.unwrap().is_empty().then_some(())
    })
    .await;
    assert_eq!(real.containers().await, Vec::<serde_json::Value>::new());
}

/// A client in the background, ended with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn an_image_with_no_file_at_all_runs_what_is_copied_into_it() {
    if !engine_wanted() {
        return;
    }
    let real = Real::start_with(IMAGES);
    let identity = key_added(&real, "id").await;
    let (donor_id, donor) = pod(&real, NONROOT, &identity).await;
    let (id, login) = pod(&real, EMPTY, &identity).await;

    let refused = login.client(&[], "").output().unwrap();
    assert_eq!(refused.status.code(), Some(127), "{refused:?}");
    let words = "podbay: this image has no shell; run a program by its path, or use sftp";
    assert_eq!(String::from_utf8_lossy(&refused.stderr).trim(), words);
    let refused = login.ssh("ls");
    assert_eq!(refused.status.code(), Some(127), "{refused:?}");
    assert_eq!(String::from_utf8_lossy(&refused.stderr).trim(), "podbay: ls: not found");

    login.copies(real.folder(), "/copied");
    // A static program from another pod.
    let program = real.folder().join("busybox");
    donor.copy_out("/bin/busybox", &program);
    login.copy_in(&program, "/busybox");
    assert_eq!(login.run("/busybox echo 'two  words' three"), "two  words three\n");
    assert_eq!(login.run("/busybox id -u"), "0\n");
    assert_eq!(login.ssh("/busybox false").status.code(), Some(1));
    deleted(&real, &[&id, &donor_id]).await;
}

#[tokio::test]
async fn in_an_image_of_another_user_everything_is_that_users() {
    if !engine_wanted() {
        return;
    }
    let real = Real::start_with(IMAGES);
    let identity = key_added(&real, "id").await;
    let (id, login) = pod(&real, NONROOT, &identity).await;

    assert_eq!(login.run("id -u; id -g; pwd; echo $USER"), "1000\n1000\n/home/app\napp\n");
    login.copies(real.folder(), "/home/app/copied");
    assert_eq!(login.run("stat -c %u:%g /home/app/copied"), "1000:1000\n");
    assert!(!login.ssh("echo x >> /etc/passwd").status.success(), "root's files stay root's");
    assert!(login.run("cat /proc/self/status").contains("CapEff:\t0000000000000000\n"));

    let said = login.client(&["-tt"], "test -w $(tty) && stty size && id -u").output().unwrap();
    assert!(said.status.success(), "{said:?}");
    assert!(String::from_utf8_lossy(&said.stdout).ends_with("\r\n1000\r\n"), "{said:?}");

    let here = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let forward = format!("{here}:127.0.0.1:8081");
    let serve = "mkdir -p www && echo forwarded > www/index.html && exec httpd -f -p 127.0.0.1:8081 -h www";
    let mut client = login.client(&["-L", &forward, "-o", "ExitOnForwardFailure=yes"], serve);
    let _client = Running(client.stdin(Stdio::null()).spawn().unwrap());
    let page =
        until("the page through the forwarded port", Duration::from_secs(20), async || get(here)).await;
    assert_eq!(page, "forwarded\n");
    deleted(&real, &[&id]).await;
}

#[tokio::test]
async fn ports_of_the_image_answer_at_their_published_addresses() {
    if !engine_wanted() {
        return;
    }
    let real = Real::start_with(IMAGES);
    let identity = key_added(&real, "id").await;
    let (id, _) = pod(&real, WEB, &identity).await;
    let client = real.client();
    let row = client.pod_statuses(&[&id]).await.unwrap().remove(0);
    let external = |internal: &str, protocol: Protocol| -> u16 {
        let mut ports = row.prime_port_mapping.iter();
        let port = ports.find(|port| port.internal == internal && port.protocol.is(protocol));
        port.unwrap_or_else(|| panic!("{internal}: {row:?}")).external.parse().unwrap()
    };
    assert_eq!(row.prime_port_mapping.len(), 3, "SSH and the image's two: {row:?}");
    let (web, datagrams) = (external("8080", Protocol::Tcp), external("9090", Protocol::Udp));
    let page = until("the image's command to serve", Duration::from_secs(20), async || get(web)).await;
    assert_eq!(page, "hello from a pod\n");
    // What the engine says it published.
    let container = real.containers().await.remove(0);
    let published = &container["NetworkSettings"]["Ports"]["9090/udp"][0]["HostPort"];
    assert_eq!(*published, datagrams.to_string(), "{container}");
    let log = client.pod_log(&id, 100).await.unwrap();
    assert!(format!("{log:?}").contains("web: serving on 8080"), "{log:?}");
    deleted(&real, &[&id]).await;
}

/// The page that a small web server on this port has; `None` while there is none.
fn get(port: u16) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").ok()?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply).ok()?;
    let (head, body) = reply.split_once("\r\n\r\n")?;
    head.contains(" 200 ").then(|| body.to_owned())
}
