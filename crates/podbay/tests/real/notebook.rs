//! A notebook beside SSH: started with the pod, listed with its port, and reachable there.

use crate::harness::{Real, engine_wanted, until};
use crate::openssh::{active, order};
use podbay_core::published::UsedBy;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// What is answered to a GET, once somebody listens.
fn get(host: &str, port: u16) -> Option<String> {
    let mut stream = TcpStream::connect((host, port)).ok()?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").ok()?;
    let mut said = String::new();
    stream.read_to_string(&mut said).ok()?;
    (!said.is_empty()).then_some(said)
}

#[tokio::test]
async fn a_pod_with_a_password_serves_a_notebook() {
    if !engine_wanted() {
        return;
    }
    let real = Real::start_with("[images]\nubuntu_22_cuda_12 = \"localhost/podbay/notebook:latest\"\n");
    let client = real.client();
    let mut wanted = order("notebook");
    wanted.pod.jupyter_password = Some("open sesame".into());
    let pod = client.pod_create(&wanted).await.unwrap().id;
    active(&client, &pod).await;
    let row = client.pod_statuses(&[&pod]).await.unwrap().remove(0);
    let is_notebook = |used_by: &Option<podbay_api::Term<UsedBy>>| {
        used_by.as_ref().is_some_and(|used_by| used_by.is(UsedBy::JupyterNotebook))
    };
    let port = row.prime_port_mapping.iter().find(|port| is_notebook(&port.used_by)).unwrap();
    assert_eq!(port.internal, "8888");
    let (host, external) = (row.ip.as_ref().unwrap().first().unwrap(), port.external.parse().unwrap());
    let said = until("the notebook answers", Duration::from_secs(10), async || get(host, external)).await;
    assert!(said.contains("hello from a pod"), "{said}");
    client.pod_delete(&pod).await.unwrap();
}
