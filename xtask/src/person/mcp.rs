//! The two published MCP servers, unchanged, driven over their standard input and output as an assistant does.

use super::{Step, Walk, contains};
use crate::http::text;
use crate::python;
use crate::sh::{self, Context, Result};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

pub const STEPS: &[Step] =
    &[("prime-mcp-server makes and deletes a pod", official), ("prime-intellect-mcp does, too", third_party)];

const OFFICIAL: [&str; 2] = ["prime-mcp-server==0.1.2", "mcp<2"];
const THIRD_PARTY: [&str; 2] = ["prime-intellect-mcp==0.1.0", "prime-sandboxes<0.3"];

/// Fetches both, so that the time of the walk is that of the walk.
pub fn environments() -> Result<()> {
    python::environment("prime-mcp-server", &OFFICIAL)?;
    python::environment("prime-intellect-mcp", &THIRD_PARTY).map(drop)
}

/// A server that is spoken to: a line of JSON for each message, either way.
struct Talk {
    child: Child,
    input: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    asked: u64,
}

impl Talk {
    fn start(mut command: std::process::Command) -> Result<Self> {
        let what = sh::describe(&command);
        // What it logs would fill its pipe.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().context(&what)?;
        let input = child.stdin.take().context("no input")?;
        let lines = BufReader::new(child.stdout.take().context("no output")?).lines();
        let mut talk = Self { child, input, lines, asked: 0 };
        let who = json!({ "name": "walk", "version": "1" });
        let hello = json!({ "protocolVersion": "2025-03-26", "capabilities": {}, "clientInfo": who });
        talk.ask("initialize", hello)?;
        talk.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }))?;
        Ok(talk)
    }

    fn send(&mut self, message: &Value) -> Result<()> {
        writeln!(self.input, "{message}")?;
        Ok(self.input.flush()?)
    }

    fn ask(&mut self, method: &str, params: Value) -> Result<Value> {
        self.asked += 1;
        let id = self.asked;
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }))?;
        for line in self.lines.by_ref() {
            let message: Value = serde_json::from_str(&line?).context("no JSON")?;
            if message["id"] == json!(id) {
                let result = message.get("result").context(format!("{method}: {message}"))?;
                return Ok(result.clone());
            }
        }
        Err(format!("{method}: it ended").into())
    }

    /// What a tool answers; a refusal is a failure.
    fn tool(&mut self, name: &str, arguments: Value) -> Result<Value> {
        let result = self.ask("tools/call", json!({ "name": name, "arguments": arguments }))?;
        let said = text(&result, "/content/0/text");
        let value: Value = serde_json::from_str(said).unwrap_or_else(|_| json!(said));
        if result["isError"] == json!(true) || value.get("error").is_some_and(|error| !error.is_null()) {
            return Err(format!("{name}: {said}").into());
        }
        // A list comes in pieces there, and as a whole here.
        Ok(result
            .pointer("/structuredContent/result")
            .filter(|whole| whole.is_array())
            .cloned()
            .unwrap_or(value))
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        sh::signal(self.child.id(), "TERM");
        let _ = self.child.wait();
    }
}

fn official(walk: &mut Walk) -> Result<()> {
    let python = python::environment("prime-mcp-server", &OFFICIAL)?.join("python");
    let mut command = walk.command(python);
    command.args(["-m", "prime_mcp.mcp"]);
    let mut talk = Talk::start(command)?;
    let offers = talk.tool("check_gpu_availability", json!({ "regions": ["eu_west"] }))?;
    let offer = offers.pointer("/CPU_NODE/0").context(format!("no CPU_NODE: {offers}"))?;
    let keys = talk.tool("manage_ssh_keys", json!({ "action": "list" }))?;
    contains(&keys.to_string(), "ssh-ed25519")?;
    let order = json!({
        "cloud_id": text(offer, "/cloudId"),
        "gpu_type": "CPU_NODE",
        "provider_type": text(offer, "/provider"),
        "data_center_id": text(offer, "/dataCenter"),
        "name": "assistant-1",
        "env_vars": { "A": "1" },
    });
    let pod = text(&talk.tool("create_pod", order)?, "/id").to_owned();
    let status = talk.tool("get_pods_status", json!({ "pod_ids": [pod] }))?;
    contains(&status.to_string(), &pod)?;
    contains(&talk.tool("list_pods", json!({}))?.to_string(), "assistant-1")?;
    contains(&talk.tool("get_pod_details", json!({ "pod_id": pod }))?.to_string(), "assistant-1")?;
    talk.tool("delete_pod", json!({ "pod_id": pod }))?;
    walk.server.pod_gone(&pod)?;
    contains(&talk.tool("get_pods_history", json!({ "limit": 5 }))?.to_string(), &pod)
}

fn third_party(walk: &mut Walk) -> Result<()> {
    let program = python::environment("prime-intellect-mcp", &THIRD_PARTY)?.join("prime-intellect-mcp");
    let mut command = walk.command(program);
    let state = walk.home.join("mcp-state");
    command.env("PRIME_INTELLECT_MCP_STATE_DIR", state).env("PRIME_MAX_HOURLY_USD", "1");
    let mut talk = Talk::start(command)?;
    contains(&talk.tool("list_gpu_types", json!({}))?.to_string(), "CPU_NODE")?;
    contains(
        &talk.tool("list_availability", json!({ "gpu_type": "CPU_NODE" }))?.to_string(),
        &walk.cloud_id,
    )?;
    contains(&talk.tool("get_wallet_balance", json!({}))?.to_string(), "USD")?;
    // Its defaults are those of a GPU.
    let wanted = json!({ "gpu_type": "CPU_NODE", "disk_size_gb": 10, "vcpus": 1, "memory_gb": 2 });
    let quote = talk.tool("pod_quote", wanted)?;
    let token = text(&quote, "/quote_token");
    let order =
        json!({ "quote_token": token, "name": "assistant-2", "confirm": true, "env_vars": { "A": "1" } });
    let pod = text(&talk.tool("pod_create", order)?, "/id").to_owned();
    contains(&talk.tool("pod_status", json!({ "pod_id": pod }))?.to_string(), &pod)?;
    contains(&talk.tool("pod_list", json!({}))?.to_string(), "assistant-2")?;
    talk.tool("pod_terminate", json!({ "pod_id": pod, "confirm": true }))?;
    walk.server.pod_gone(&pod).map(drop)
}
