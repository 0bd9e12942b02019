//! Memory stays bounded and nobody stalls anybody, whoever does not read.

use std::fs::File;
use std::io::Read;
use std::net::TcpListener;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::support::{Agent, Running, children, memory, success, text, until};

const MEGABYTE: u64 = 1024 * 1024;
/// What the server may take beyond what it takes at rest, in kilobytes.
const GROWTH_MAX: u64 = 24 * 1024;

fn zeros(agent: &Agent, megabytes: u64) -> File {
    let path = agent.path("zeros");
    File::create(&path).unwrap().set_len(megabytes * MEGABYTE).unwrap();
    File::open(path).unwrap()
}

/// Waits until a number has stopped changing for half a second.
fn settled(what: &str, mut number: impl FnMut() -> Option<u64>) -> u64 {
    let mut last = (None, Instant::now());
    until(what, || {
        let now = number();
        if now != last.0 {
            last = (now, Instant::now());
        }
        (last.1.elapsed() > Duration::from_millis(500)).then_some(now?)
    })
}

/// How far a client behind `timeout` has read its stdin.
fn input_position(client: &Running) -> Option<u64> {
    let ssh = *children(client.0.id()).first()?;
    let text = std::fs::read_to_string(format!("/proc/{ssh}/fdinfo/0")).ok()?;
    text.lines().next()?.strip_prefix("pos:")?.trim().parse().ok()
}

#[test]
fn a_reader_that_stops_costs_nothing_and_stalls_nobody() {
    let agent = Agent::start();
    let _shared = agent.shared_connection();
    success(&mut agent.over("true"));
    let server = agent.server();
    let before = memory(server, "VmRSS");
    zeros(&agent, 300);
    let line = format!("cat {}", agent.path("zeros").display());
    let mut client = Running(agent.over(&line).stdout(Stdio::piped()).spawn().unwrap());
    settled("the download to stall", || Some(memory(server, "VmRSS")));
    let start = Instant::now();
    assert_eq!(success(&mut agent.over("echo hello")), "hello\n");
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    let mut stdout = client.0.stdout.take().unwrap();
    let got = std::io::copy(&mut stdout, &mut std::io::sink()).unwrap();
    assert_eq!(got, 300 * MEGABYTE);
    let grown = memory(server, "VmHWM") - before;
    assert!(grown < GROWTH_MAX, "{grown} kB");
}

#[test]
fn a_program_that_does_not_read_costs_little_and_stalls_nobody() {
    let agent = Agent::start();
    let _shared = agent.shared_connection();
    success(&mut agent.over("true"));
    let server = agent.server();
    let before = memory(server, "VmRSS");
    let client = Running(agent.over("sleep 1000").stdin(zeros(&agent, 200)).spawn().unwrap());
    // A client of a shared connection hands its stdin to the one that holds the connection.
    settled("the upload to be taken", || Some(memory(server, "VmRSS")));
    let start = Instant::now();
    assert_eq!(success(&mut agent.over("echo hello")), "hello\n");
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    let grown = memory(server, "VmHWM") - before;
    assert!(grown < GROWTH_MAX, "{grown} kB");
    drop(client);
    assert_eq!(success(&mut agent.over("echo after")), "after\n");
}

#[test]
fn alone_on_its_connection_a_program_that_reads_slowly_slows_the_client() {
    let agent = Agent::start();
    let server = agent.server();
    agent.run("true");
    let before = memory(server, "VmRSS");
    let mut command = agent.ssh("while test $(head -c 65536 | wc -c) -gt 0; do sleep 0.05; done");
    let client = Running(command.stdin(zeros(&agent, 300)).spawn().unwrap());
    let start = Instant::now();
    let sent = until("three seconds of upload", || {
        (start.elapsed() > Duration::from_secs(3)).then(|| input_position(&client)).flatten()
    });
    assert!(sent < 60 * MEGABYTE, "{sent}");
    let grown = memory(server, "VmHWM") - before;
    assert!(grown < GROWTH_MAX, "{grown} kB");
    // Though nobody reads the connection, it can be ended.
    std::fs::write(agent.path("pod/authorized_keys"), "").unwrap();
    until("the program to be hung up", || children(server).is_empty().then_some(()));
}

#[test]
fn a_client_that_leaves_a_stuck_program_is_noticed() {
    let agent = Agent::start();
    let server = agent.server();
    let client = Running(agent.ssh("sleep 1000").stdin(zeros(&agent, 100)).spawn().unwrap());
    until("everything to be sent", || input_position(&client).filter(|sent| *sent == 100 * MEGABYTE));
    assert_eq!(children(server).len(), 1);
    drop(client);
    until("the program to be hung up", || children(server).is_empty().then_some(()));
}

#[test]
fn an_echo_of_much_data_survives_a_pause_of_the_reader() {
    let agent = Agent::start();
    let server = agent.server();
    agent.run("true");
    let before = memory(server, "VmRSS");
    let mut command = agent.ssh("cat");
    let mut client = Running(command.stdin(zeros(&agent, 150)).stdout(Stdio::piped()).spawn().unwrap());
    // All of it is sent, though nothing comes back: only so can the client be heard again later.
    until("everything to be sent", || input_position(&client).filter(|sent| *sent == 150 * MEGABYTE));
    let mut stdout = client.0.stdout.take().unwrap();
    let mut got = 0;
    let mut buffer = vec![1; 1 << 20];
    loop {
        let count = stdout.read(&mut buffer).unwrap();
        if count == 0 {
            break;
        }
        assert!(buffer[..count].iter().all(|byte| *byte == 0));
        got += count as u64;
    }
    assert_eq!(got, 150 * MEGABYTE);
    let grown = memory(server, "VmHWM") - before;
    assert!(grown < GROWTH_MAX, "{grown} kB");
}

#[test]
fn a_stuck_program_is_hung_up_where_no_folder_has_room_and_the_others_go_on() {
    let agent = Agent::without_any_room();
    let _shared = agent.shared_connection();
    let neighbour = Running(agent.over("exec sleep 1000").spawn().unwrap());
    let mut upload = agent.over("exec sleep 1001");
    let upload = upload.stdin(zeros(&agent, 100)).stderr(Stdio::piped()).spawn().unwrap();
    let start = Instant::now();
    let ended = upload.wait_with_output().unwrap();
    assert!(start.elapsed() >= Duration::from_secs(10), "{:?}", start.elapsed());
    // OpenSSH's status for a program that was ended by a signal.
    assert_eq!(ended.status.code(), Some(255));
    let said = text(&ended.stderr);
    assert!(said.starts_with("podbay: the program has read nothing for 10 seconds or more, "), "{said}");
    assert_eq!(success(&mut agent.over("echo hello")), "hello\n");
    assert_eq!(children(agent.server()).len(), 1, "the neighbour stays");
    drop(neighbour);
}

#[test]
fn a_stuck_forwarded_connection_is_closed_where_no_folder_has_room_and_the_others_go_on() {
    let agent = Agent::without_any_room();
    let _shared = agent.shared_connection();
    // It is connected to, and nobody reads.
    let stuck = TcpListener::bind("127.0.0.1:0").unwrap();
    let _neighbour = Running(agent.over("exec sleep 1000").spawn().unwrap());
    let mut upload = agent.client("ssh");
    upload.arg("-S").arg(agent.path("mux")).arg("-W").arg(stuck.local_addr().unwrap().to_string()).arg("pod");
    let mut upload = Running(upload.stdin(zeros(&agent, 100)).stdout(Stdio::null()).spawn().unwrap());
    until("the forwarded connection to be closed", || upload.0.try_wait().unwrap());
    assert_eq!(success(&mut agent.over("echo hello")), "hello\n");
    assert_eq!(children(agent.server()).len(), 1, "the neighbour stays");
}
