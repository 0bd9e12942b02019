//! `ssh -L`, `-R` and `-D`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::process::{ChildStdin, ChildStdout, Stdio};

use russh::{ChannelOpenFailure, Error};
use tokio::io::AsyncReadExt;

use crate::library::log_in;
use crate::support::{Agent, DEADLINE, Running, text, until};

/// A service that answers everything it got with the same in capitals, when the client is done.
fn service() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || answer(stream.try_clone().unwrap(), stream));
        }
    });
    port
}

fn answer(mut reader: impl Read, mut writer: impl Write) {
    let mut got = Vec::new();
    let _ = reader.read_to_end(&mut got);
    let _ = writer.write_all(&got.to_ascii_uppercase());
}

fn ask(mut stream: TcpStream, question: &[u8]) -> Vec<u8> {
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.write_all(question).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    answer
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn forwarding(agent: &Agent, arguments: &[&str]) -> Running {
    let mut command = agent.client("ssh");
    command.args(["-N", "-o", "ExitOnForwardFailure=yes"]).args(arguments).arg("pod").stdin(Stdio::null());
    Running(command.spawn().unwrap())
}

fn connect(port: u16) -> TcpStream {
    until("the forwarded port", || TcpStream::connect(("127.0.0.1", port)).ok())
}

#[test]
fn local_forwarding_by_address_and_by_name() {
    let agent = Agent::start();
    let service = service();
    let (one, two) = (free_port(), free_port());
    let _client = forwarding(
        &agent,
        &["-L", &format!("{one}:127.0.0.1:{service}"), "-L", &format!("{two}:localhost:{service}")],
    );
    assert_eq!(ask(connect(one), b"by address"), b"BY ADDRESS");
    let large = vec![b'a'; 5_000_000];
    assert!(ask(connect(two), &large) == vec![b'A'; 5_000_000]);
}

#[test]
fn a_refused_connection_is_closed_at_once() {
    let agent = Agent::start();
    let (port, nobody) = (free_port(), free_port());
    let _client = forwarding(&agent, &["-L", &format!("{port}:127.0.0.1:{nobody}")]);
    let mut stream = connect(port);
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    assert!(rest.is_empty());
}

#[test]
fn local_forwarding_to_a_unix_socket() {
    let agent = Agent::start();
    let path = agent.path("service");
    let listener = UnixListener::bind(&path).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            answer(stream.try_clone().unwrap(), stream);
        }
    });
    let port = free_port();
    let _client = forwarding(&agent, &["-L", &format!("{port}:{}", path.display())]);
    assert_eq!(ask(connect(port), b"unix"), b"UNIX");
}

#[test]
fn remote_forwarding_with_a_port_of_our_choice_and_its_end() {
    let agent = Agent::start();
    let service = service();
    let _shared = agent.shared_connection();
    let forward = format!("0:127.0.0.1:{service}");
    let control = |action: &str| {
        let mut command = agent.client("ssh");
        command.arg("-S").arg(agent.path("mux")).args(["-O", action, "-R", &forward, "pod"]);
        command.output().unwrap()
    };
    let output = control("forward");
    let port: u16 = text(&output.stdout).trim().parse().unwrap_or_else(|_| panic!("{output:?}"));
    assert_eq!(ask(connect(port), b"back"), b"BACK");
    let mut command = agent.client("ssh");
    command.arg("-S").arg(agent.path("mux"));
    let output = command.args(["-O", "cancel", "-R", &forward, "pod"]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    until("the port to be closed", || TcpStream::connect(("127.0.0.1", port)).is_err().then_some(()));
}

#[test]
fn remote_forwarding_ends_with_its_connection_and_a_taken_port_is_refused() {
    let agent = Agent::start();
    let (service, port) = (service(), free_port());
    let client = forwarding(&agent, &["-R", &format!("{port}:127.0.0.1:{service}")]);
    assert_eq!(ask(connect(port), b"fixed"), b"FIXED");
    let mut second = agent.client("ssh");
    second.args(["-N", "-o", "ExitOnForwardFailure=yes", "-R", &format!("{port}:127.0.0.1:1"), "pod"]);
    let output = second.stdin(Stdio::null()).output().unwrap();
    assert!(text(&output.stderr).contains("remote port forwarding failed"), "{output:?}");
    drop(client);
    until("the port to be closed", || TcpStream::connect(("127.0.0.1", port)).is_err().then_some(()));
}

#[test]
fn remote_forwarding_of_a_unix_socket() {
    let agent = Agent::start();
    let (service, path) = (service(), agent.path("remote"));
    let _client = forwarding(&agent, &["-R", &format!("{}:127.0.0.1:{service}", path.display())]);
    let mut stream = until("the socket", || std::os::unix::net::UnixStream::connect(&path).ok());
    stream.write_all(b"socket").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "SOCKET");
}

#[test]
fn dynamic_forwarding() {
    let agent = Agent::start();
    let (service, port) = (service(), free_port());
    let _client = forwarding(&agent, &["-D", &port.to_string()]);
    let stream = through_socks(port, "localhost", service).unwrap();
    assert_eq!(ask(stream, b"socks"), b"SOCKS");
}

/// A connection through the SOCKS proxy at `proxy` to a port in the pod.
fn through_socks(proxy: u16, host: &str, port: u16) -> Result<TcpStream, u8> {
    let mut stream = connect(proxy);
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.write_all(&[5, 1, 0]).unwrap();
    let mut choice = [0; 2];
    stream.read_exact(&mut choice).unwrap();
    assert_eq!(choice, [5, 0]);
    let mut request = vec![5, 1, 0, 3, u8::try_from(host.len()).unwrap()];
    request.extend(host.as_bytes());
    request.extend(port.to_be_bytes());
    stream.write_all(&request).unwrap();
    let mut reply = [0; 10];
    stream.read_exact(&mut reply).unwrap();
    if reply[1] == 0 { Ok(stream) } else { Err(reply[1]) }
}

/// VS Code's remote extension: a shell without a terminal that reads a script from stdin, and every
/// later connection as a SOCKS one beside it.
fn script_and_proxy(agent: &Agent, proxy: u16) -> (Running, ChildStdin, BufReader<ChildStdout>) {
    let mut command = agent.client("ssh");
    command.args(["-T", "-D", &proxy.to_string(), "-o", "ExitOnForwardFailure=yes", "pod", "sh"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut shell = Running(command.spawn().unwrap());
    let (input, output) = (shell.0.stdin.take().unwrap(), shell.0.stdout.take().unwrap());
    (shell, input, BufReader::new(output))
}

/// The shell's answer to one line of its script.
fn answer_to(line: &str, input: &mut ChildStdin, output: &mut BufReader<ChildStdout>) -> String {
    writeln!(input, "{line}").unwrap();
    let mut answer = String::new();
    output.read_line(&mut answer).unwrap();
    answer
}

#[test]
fn many_forwarded_connections_beside_a_shell_over_one_connection() {
    const MEGABYTE: usize = 1 << 20;
    let agent = Agent::start();
    let (service, proxy) = (service(), free_port());
    let (_shell, mut input, mut output) = script_and_proxy(&agent, proxy);
    assert_eq!(answer_to("echo ready", &mut input, &mut output), "ready\n");
    // All are open before the first is used.
    let streams: Vec<_> = (0..100).map(|_| through_socks(proxy, "localhost", service).unwrap()).collect();
    assert_eq!(answer_to("echo open", &mut input, &mut output), "open\n");
    let asking: Vec<_> = streams
        .into_iter()
        .zip((b'a'..=b'z').cycle())
        .map(|(stream, letter)| std::thread::spawn(move || (letter, ask(stream, &vec![letter; MEGABYTE]))))
        .collect();
    // In the middle of it.
    assert_eq!(answer_to("echo meanwhile", &mut input, &mut output), "meanwhile\n");
    for stream in asking {
        let (letter, answer) = stream.join().unwrap();
        assert!(answer == vec![letter.to_ascii_uppercase(); MEGABYTE], "{}", answer.len());
    }
    assert_eq!(answer_to("echo after", &mut input, &mut output), "after\n");
}

#[tokio::test]
async fn a_channel_beyond_the_bound_is_refused_for_want_of_room_and_the_others_stay() {
    let agent = Agent::start();
    let service = service();
    let session = log_in(&agent).await;
    let mut open = Vec::new();
    for _ in 0..512 {
        open.push(session.channel_open_session().await.unwrap());
    }
    let refused = |error| matches!(error, Error::ChannelOpenFailure(ChannelOpenFailure::ResourceShortage));
    let one_too_many = session.channel_open_session().await;
    assert!(one_too_many.is_err_and(refused));
    let forwarded =
        async || session.channel_open_direct_tcpip("127.0.0.1", service.into(), "127.0.0.1", 1).await;
    assert!(forwarded().await.is_err_and(refused), "whatever it is for");
    // One that is closed makes room.
    let last = open.pop().unwrap();
    last.close().await.unwrap();
    let channel = loop {
        match forwarded().await {
            Ok(channel) => break channel,
            Err(error) => assert!(refused(error)),
        }
    };
    channel.data(&b"forwarded"[..]).await.unwrap();
    channel.eof().await.unwrap();
    let mut answer = Vec::new();
    channel.into_stream().read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer, b"FORWARDED");
}
