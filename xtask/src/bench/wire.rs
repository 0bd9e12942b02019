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
        let (status, bytes) = self.answer(method, path, None, body)?;
        if status == 200 {
            return Ok(bytes);
        }
        Err(format!("{method} {path}: HTTP {status}: {}", String::from_utf8_lossy(&bytes)).into())
    }

    /// Status and body of whatever is answered, to a call with that key in the place of the connection's own.
    pub fn answer(
        &mut self,
        method: &str,
        path: &str,
        key: Option<&str>,
        body: &str,
    ) -> Result<(u16, Vec<u8>)> {
        let authorization = match key.unwrap_or(&self.key) {
            "" => String::new(),
            key => format!("Authorization: Bearer {key}\r\n"),
        };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\n{authorization}\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.host,
            body.len()
        );
        self.stream.get_mut().write_all(request.as_bytes()).context(path)?;
        let line = self.line()?;
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok()).context(line)?;
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
        Ok((status, bytes))
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.stream.read_line(&mut line).context("a reply")?;
        Ok(line.trim_end().to_owned())
    }
}
