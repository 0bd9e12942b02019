//! One connection that is kept open, for calls whose time is measured: a new `curl` for each would be most
//! of it.

use crate::http::Api;
use crate::sh::{Context, Result};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

pub struct Wire {
    stream: BufReader<TcpStream>,
    host: String,
    key: String,
}

impl Wire {
    pub fn open(api: &Api) -> Result<Self> {
        let host = api.base.strip_prefix("http://").context("not http")?.to_owned();
        let stream = TcpStream::connect(&host).context(&host)?;
        stream.set_nodelay(true).context("TCP_NODELAY")?;
        Ok(Self { stream: BufReader::new(stream), host, key: api.key.clone() })
    }

    /// The body of a reply that has to be a success.
    pub fn call(&mut self, method: &str, path: &str, body: &str) -> Result<Value> {
        serde_json::from_slice(&self.exchange(method, path, body)?).context(path)
    }

    /// The same as it came: taking it apart would be work in the way of what is measured.
    pub fn exchange(&mut self, method: &str, path: &str, body: &str) -> Result<Vec<u8>> {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.host,
            self.key,
            body.len()
        );
        self.stream.get_mut().write_all(request.as_bytes()).context(path)?;
        let status = self.line()?;
        let mut length = 0;
        loop {
            let line = self.line()?.to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().context("content-length")?;
            }
        }
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes).context(path)?;
        if !status.contains(" 200 ") {
            return Err(format!("{method} {path}: {status}: {}", String::from_utf8_lossy(&bytes)).into());
        }
        Ok(bytes)
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.stream.read_line(&mut line).context("a reply")?;
        Ok(line.trim_end().to_owned())
    }
}
