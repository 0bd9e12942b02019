//! The API through `curl`: what the documentation shows is what is run here.
//!
//! The key and the body reach curl on its standard input, so that they are in no process list.

use crate::sh::{self, Context, Result};
use serde_json::Value;
use std::process::Command;
use std::time::Duration;

pub struct Api {
    pub base: String,
    pub key: String,
}

pub struct Reply {
    pub status: u16,
    pub body: Value,
    pub text: String,
    pub time: Duration,
}

impl Api {
    pub fn get(&self, path: &str) -> Result<Reply> {
        self.call("GET", path, None)
    }

    pub fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Reply> {
        let mut input = String::new();
        if !self.key.is_empty() {
            input.push_str(&setting("header", &format!("Authorization: Bearer {}", self.key)));
        }
        if let Some(body) = body {
            input.push_str(&setting("header", "Content-Type: application/json"));
            input.push_str(&setting("data-raw", &body.to_string()));
        }
        let mut curl = Command::new("curl");
        // A proxy between this machine and itself would see the key.
        curl.args(["-sS", "--noproxy", "*", "--max-time", "60", "-X", method, "-K", "-"]);
        curl.args(["-w", "\n%{http_code} %{time_total}"]).arg(format!("{}{path}", self.base));
        let output = sh::feed(&mut curl, input.as_bytes())?;
        let (text, trailer) = output.rsplit_once('\n').context("curl wrote no status")?;
        let (status, seconds) = trailer.split_once(' ').context("curl wrote no status")?;
        Ok(Reply {
            status: status.parse().context("status")?,
            body: serde_json::from_str(text).unwrap_or(Value::Null),
            text: text.to_owned(),
            time: Duration::from_secs_f64(seconds.trim().parse().unwrap_or(0.0)),
        })
    }
}

impl Reply {
    /// The body of a reply that has to be a success.
    pub fn ok(self, what: &str) -> Result<Value> {
        if self.status == 200 {
            Ok(self.body)
        } else {
            Err(format!("{what}: HTTP {}: {}", self.status, self.text).into())
        }
    }

    /// JSON set out for reading; anything else as it came.
    pub fn pretty(&self) -> String {
        match &self.body {
            Value::Null => self.text.clone(),
            body => pretty(body),
        }
    }
}

pub fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// One line of a curl configuration file.
fn setting(name: &str, value: &str) -> String {
    let escaped = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("{name} = \"{escaped}\"\n")
}

/// The text of a field, or "" where it is absent, null, or not a text. Fields are given as a JSON pointer.
pub fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// A scalar as a person would write it; "" for null.
pub fn plain(value: &Value, pointer: &str) -> String {
    match value.pointer(pointer) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

pub fn rows<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}
