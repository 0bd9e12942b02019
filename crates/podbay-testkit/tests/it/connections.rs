//! Clients that are slow, many, or too large, over real sockets. Bounds are short here; what is
//! waited for is always the server's own act, never a time.

use podbay_server::connections::{self, Listen};
use podbay_testkit::TestServer;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

const SHORT: Duration = Duration::from_millis(30);
const HEALTH: &[u8] = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";

/// A server's face on a socket.
struct Face {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<usize>,
}

impl Face {
    async fn of(server: &TestServer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        Self::on(server, listener, address)
    }

    fn on(server: &TestServer, listener: impl Listen, address: SocketAddr) -> Self {
        let (stop, stopped) = oneshot::channel();
        let stopped = async { drop(stopped.await) };
        let serving = tokio::spawn(connections::serve(server.app.clone(), listener, stopped));
        Self { address, stop: Some(stop), serving }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// How many connections the stop cut off.
    async fn stop(mut self) -> usize {
        drop(self.stop.take());
        self.serving.await.unwrap()
    }
}

/// Everything that still comes, until the server ends the connection.
async fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    // A reset is an end, too; what came before it stays.
    let _ = stream.read_to_end(&mut bytes).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Asks for `/healthz` and reads the answer, which leaves the connection open.
async fn healthy(stream: &mut TcpStream) -> bool {
    stream.write_all(HEALTH).await.unwrap();
    let mut got = Vec::new();
    while !got.ends_with(b"{\"status\":\"ok\"}") {
        let mut part = [0; 1024];
        match stream.read(&mut part).await {
            Ok(0) | Err(_) => return false,
            Ok(count) => got.extend_from_slice(&part[..count]),
        }
    }
    got.starts_with(b"HTTP/1.1 200")
}

#[tokio::test]
async fn who_never_ends_a_head_is_cut_off() {
    let server = TestServer::tuned(|_| {}, |tuning| tuning.head_wait = SHORT).await;
    let face = Face::of(&server).await;
    assert_eq!(rest(&mut face.connect().await).await, "", "nothing was sent at all");
    let (mut reading, mut writing) = face.connect().await.into_split();
    let trickle = tokio::spawn(async move {
        writing.write_all(b"GET /healthz HTTP/1.1\r\nx: ").await.unwrap();
        while writing.write_all(b"y").await.is_ok() {
            tokio::task::yield_now().await;
        }
    });
    let mut bytes = Vec::new();
    let _ = reading.read_to_end(&mut bytes).await;
    assert!(!String::from_utf8_lossy(&bytes).contains("200"), "an unfinished request was answered");
    drop(reading);
    trickle.await.unwrap();
    assert_eq!(face.stop().await, 0, "nobody is left");
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_a_busy_one_is_kept() {
    let server = TestServer::tuned(|_| {}, |tuning| tuning.head_wait = SHORT).await;
    let face = Face::of(&server).await;
    let mut stream = face.connect().await;
    if healthy(&mut stream).await {
        assert_eq!(rest(&mut stream).await, "", "idle");
    }
    let patient = TestServer::new().await;
    let face = Face::of(&patient).await;
    let mut stream = face.connect().await;
    for _ in 0..100 {
        assert!(healthy(&mut stream).await);
    }
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_answered_408() {
    let server = TestServer::tuned(|_| {}, |tuning| tuning.body_wait = SHORT).await;
    let face = Face::of(&server).await;
    let key = server.user("ada").await.key().to_owned();
    let mut stream = face.connect().await;
    let head = format!(
        "POST /api/v1/pods HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\ncontent-length: 100\r\n\r\n{{"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let reply = rest(&mut stream).await;
    assert!(reply.starts_with("HTTP/1.1 408"), "{reply}");
    let detail = "{\"detail\":\"the body of the request did not arrive in time; send it again\"}";
    assert!(reply.ends_with(detail), "{reply}");
    let pods = server.user("ada").await.get("/api/v1/pods").await.ok();
    assert_eq!(pods["total_count"], 0);
}

#[tokio::test]
async fn who_takes_no_reply_is_cut_off() {
    let server = TestServer::tuned(|_| {}, |tuning| tuning.reply_stall = SHORT).await;
    let face = Face::of(&server).await;
    let mut stream = face.connect().await;
    // More replies than the two kernels keep for a client that takes none of them: in the end the
    // server can write no more, takes no more, and gives the client up.
    let many = HEALTH.repeat(1000);
    while stream.write_all(&many).await.is_ok() {}
    assert_eq!(face.stop().await, 0, "the connection had ended");
}

#[tokio::test]
async fn heads_that_are_too_large_are_answered_431() {
    let server = TestServer::new().await;
    let face = Face::of(&server).await;
    for head in [
        (0..10_000).map(|nth| format!("x-{nth}: y\r\n")).collect::<String>(),
        (0..101).map(|nth| format!("x-{nth}: y\r\n")).collect(),
        format!("x: {}\r\n", "y".repeat(70_000)),
    ] {
        let (mut reading, mut writing) = face.connect().await.into_split();
        let request = format!("GET /healthz HTTP/1.1\r\nhost: x\r\n{head}\r\n");
        let length = request.len();
        let sending = tokio::spawn(async move {
            let _ = writing.write_all(request.as_bytes()).await;
            writing
        });
        let mut start = [0; 12];
        reading.read_exact(&mut start).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&start), "HTTP/1.1 431", "a head of {length} bytes");
        drop(sending.await.unwrap());
    }
    let mut stream = face.connect().await;
    assert!(healthy(&mut stream).await, "others are served");
}

#[tokio::test]
async fn more_connections_than_there_may_be_are_refused_and_make_room_again() {
    for tell in [
        |config: &mut podbay_server::Config| config.limits.connections = 3,
        |config: &mut podbay_server::Config| config.limits.connections_per_address = 3,
    ] {
        let server = TestServer::with(tell).await;
        let face = Face::of(&server).await;
        let mut open = Vec::new();
        for _ in 0..3 {
            let mut stream = face.connect().await;
            assert!(healthy(&mut stream).await);
            open.push(stream);
        }
        let reply = rest(&mut face.connect().await).await;
        assert!(reply.starts_with("HTTP/1.1 503"), "{reply}");
        assert!(reply.contains("\r\nretry-after: 1\r\n"), "{reply}");
        let body = reply.split("\r\n\r\n").nth(1).unwrap();
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(body["detail"], "the server has too many connections open; try again in a moment");
        for stream in &mut open {
            assert!(healthy(stream).await, "those that are in are not touched");
        }
        let mut leaving = open.pop().unwrap();
        leaving.shutdown().await.unwrap();
        assert_eq!(rest(&mut leaving).await, "", "the server has seen it go");
        // The count follows the end of the connection at once, but not in the same instant.
        while !healthy(&mut face.connect().await).await {}
    }
}

#[tokio::test]
async fn a_stop_waits_for_the_bound_and_cuts_off_what_is_half_open() {
    let server = TestServer::tuned(|_| {}, |tuning| tuning.drain = SHORT).await;
    let face = Face::of(&server).await;
    let mut idle = face.connect().await;
    assert!(healthy(&mut idle).await);
    let mut half = face.connect().await;
    half.write_all(b"GET /healthz HTTP/1.1\r\n").await.unwrap();
    // One more round trip, so that the half request has surely been seen.
    assert!(healthy(&mut face.connect().await).await);
    let address = face.address;
    assert_eq!(face.stop().await, 1, "the idle one ends by itself");
    assert_eq!(rest(&mut idle).await, "");
    assert_eq!(rest(&mut half).await, "");
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn a_stop_lets_a_request_in_flight_finish() {
    let server = TestServer::new().await;
    let face = Face::of(&server).await;
    let key = server.user("ada").await.key().to_owned();
    let order = TestServer::order().to_string();
    let mut stream = face.connect().await;
    let head = format!(
        "POST /api/v1/pods HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\nexpect: 100-continue\r\n\
         content-length: {}\r\n\r\n",
        order.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut asked = [0; 25];
    stream.read_exact(&mut asked).await.unwrap();
    assert_eq!(&asked, b"HTTP/1.1 100 Continue\r\n\r\n", "the handler waits for the body");
    let stopping = tokio::spawn(face.stop());
    stream.write_all(order.as_bytes()).await.unwrap();
    assert!(rest(&mut stream).await.starts_with("HTTP/1.1 200"));
    assert_eq!(stopping.await.unwrap(), 0);
}

/// Fails as a kernel without free descriptors does, and then goes on.
struct Exhausted(TcpListener, u32);

impl Listen for Exhausted {
    async fn next(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        const EMFILE: i32 = 24;
        const ECONNABORTED: i32 = 103;
        self.1 += 1;
        match self.1 {
            1 | 3 => Err(io::Error::from_raw_os_error(EMFILE)),
            2 => Err(io::Error::from_raw_os_error(ECONNABORTED)),
            _ => self.0.accept().await,
        }
    }
}

#[tokio::test]
async fn connections_that_cannot_be_accepted_do_not_end_the_server() {
    let server = TestServer::tuned(|_| {}, |tuning| tuning.accept_pause = Duration::from_millis(1)).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let face = Face::on(&server, Exhausted(listener, 0), address);
    assert!(healthy(&mut face.connect().await).await);
}
