//! Images and templates.

use super::{Step, Walk, contains, same};
use crate::http::text;
use crate::image;
use crate::sh::{Context, Result};
use serde_json::{Value, json};

pub const STEPS: &[Step] = &[
    ("pods create --image custom_template makes a pod of a template", create),
    ("a notebook that the image lacks ends the pod with the reason", notebook),
];

fn create(walk: &mut Walk) -> Result<()> {
    // The client has no command for templates.
    let body = json!({
        "name": "walk", "image": image::BASE, "command": ["sh", "-c", "echo said by $WHO; exec sleep inf"],
        "envVars": { "WHO": "template" }, "ports": [{ "number": 7000, "description": "of the template" }],
    });
    let template = walk.server.api.call("POST", "/api/v1/templates", Some(&body))?.ok("POST templates")?;
    let id = text(&template, "/id");
    let words = ["pods", "create", "--id", &walk.offer, "--name", "walk-template", "--yes"];
    let image = ["--image", "custom_template", "--custom-template-id", id];
    let said = walk.prime(&[&words[..], &image].concat())?;
    let (_, rest) = said.split_once("Successfully created pod").context(format!("no success: {said}"))?;
    let pod = rest.split_whitespace().next().unwrap_or_default().to_owned();
    let row = walk.server.pod_ready(&pod, |_| ())?;
    same(text(&row, "/primePortMapping/1/internal"), "7000")?;
    same(text(&row, "/primePortMapping/1/description"), "of the template")?;
    same(text(&walk.prime_json(&["pods", "status", &pod])?, "/image"), "custom_template")?;
    let log = walk.server.api.get(&format!("/api/v1/pods/{pod}/log"))?.ok("log")?;
    contains(&log.to_string(), "said by template")?;
    end(walk, &pod)
}

fn notebook(walk: &mut Walk) -> Result<()> {
    // The client has no flag for it.
    let offers = walk.server.api.get("/api/v1/availability/gpus?gpu_type=CPU_NODE")?.ok("availability")?;
    let order = json!({
        "pod": {
            "cloudId": text(&offers, "/items/0/cloudId"), "gpuType": "CPU_NODE", "gpuCount": 1, "socket": "PCIe",
            "jupyterPassword": "open sesame",
        },
        "provider": { "type": "primecompute" },
    });
    let pod = walk.server.api.call("POST", "/api/v1/pods", Some(&order))?.ok("POST pods")?;
    let pod = text(&pod, "/id").to_owned();
    match walk.server.pod_ready(&pod, |_: &Value| ()) {
        Ok(row) => return Err(format!("it is ready: {row}").into()),
        Err(failure) => contains(&failure.text, "the image has no Jupyter")?,
    }
    end(walk, &pod)
}

fn end(walk: &Walk, pod: &str) -> Result<()> {
    let deleted = walk.server.api.call("DELETE", &format!("/api/v1/pods/{pod}"), None)?;
    deleted.ok("DELETE pods")?;
    walk.server.pod_gone(pod).map(drop)
}
