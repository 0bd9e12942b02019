//! A server that expects certain requests, in order, and has an answer for each.

use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// One expected request and its answer.
pub struct Exchange {
    /// Method and path with query.
    expected: &'static str,
    status: u16,
    answer: Value,
}

/// `expected` is answered with 200.
pub fn ok(expected: &'static str, answer: Value) -> Exchange {
    Exchange { expected, status: 200, answer }
}

/// `expected` is answered with `status`.
pub fn refuse(expected: &'static str, status: u16, answer: Value) -> Exchange {
    Exchange { expected, status, answer }
}

/// What came: method and path, both keys, the body.
#[derive(Clone, Debug)]
pub struct Request {
    pub line: String,
    pub key: Option<String>,
    /// `Idempotency-Key`.
    pub once: Option<String>,
    pub body: Value,
}

/// The server. [`Stub::requests`] ends it.
pub struct Stub {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    thread: JoinHandle<()>,
    expected: Vec<&'static str>,
}

impl Stub {
    /// Starts it.
    pub fn start(script: Vec<Exchange>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&requests);
        let expected = script.iter().map(|exchange| exchange.expected).collect();
        let thread = std::thread::spawn(move || {
            for exchange in script {
                let (stream, _) = listener.accept().unwrap();
                answer(stream, &exchange, &log);
            }
        });
        Self { address, requests, thread, expected }
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Everything that came. Fails if that is not what was expected.
    pub fn requests(self) -> Vec<Request> {
        let came = self.requests.lock().unwrap().clone();
        let lines: Vec<&str> = came.iter().map(|request| request.line.as_str()).collect();
        assert_eq!(lines, self.expected, "what came and what was expected");
        self.thread.join().unwrap();
        came
    }
}

fn answer(stream: TcpStream, exchange: &Exchange, log: &Mutex<Vec<Request>>) {
    let mut reader = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let header = |name: &str| {
        let found = lines.iter().find(|line| line.to_ascii_lowercase().starts_with(name))?;
        Some(found[name.len()..].trim().to_owned())
    };
    let mut body = vec![0; header("content-length:").map_or(0, |length| length.parse().unwrap())];
    reader.read_exact(&mut body).unwrap();
    let line = lines[0].trim_end_matches(" HTTP/1.1").to_owned();
    let right = line == exchange.expected;
    let (key, once) = (header("authorization:"), header("idempotency-key:"));
    log.lock().unwrap().push(Request {
        line,
        key,
        once,
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
    });
    let (status, text) = match right {
        // A text is meant as it is.
        true => match &exchange.answer {
            Value::String(text) => (exchange.status, text.clone()),
            answer => (exchange.status, answer.to_string()),
        },
        false => (500, format!(r#"{{"detail":"the test expected {}"}}"#, exchange.expected)),
    };
    let head = format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", text.len());
    reader.get_mut().write_all((head + &text).as_bytes()).unwrap();
}
