//! Who gets in, and who is put out.

use std::io::Read;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::support::{Agent, is_alive, new_key, text, until};

#[test]
fn the_greeting_names_no_version() {
    let agent = Agent::start();
    let mut greeting = [0; 16];
    agent.connect().read_exact(&mut greeting).unwrap();
    assert_eq!(text(&greeting), "SSH-2.0-podbay\r\n");
}

#[test]
fn another_key_is_refused_until_it_is_added() {
    let agent = Agent::start();
    let key = agent.path("other");
    new_key(&key);
    let attempt = || {
        let mut command = agent.client("ssh");
        command.arg("-o").arg(format!("IdentityFile={}", key.display())).args(["-o", "IdentityFile=none"]);
        // The one of the configuration file would be offered too.
        let text = std::fs::read_to_string(agent.path("client")).unwrap();
        let text = text.replace(agent.path("id").to_str().unwrap(), key.to_str().unwrap());
        std::fs::write(agent.path("other-client"), text).unwrap();
        let mut command = std::process::Command::new("timeout");
        command.args(["20", "ssh", "-F"]).arg(agent.path("other-client")).args(["pod", "echo in"]);
        command.stdin(Stdio::null()).output().unwrap()
    };
    let output = attempt();
    assert_eq!(output.status.code(), Some(255));
    assert!(text(&output.stderr).contains("Permission denied (publickey)"), "{output:?}");
    let mut keys = std::fs::read_to_string(agent.path("pod/authorized_keys")).unwrap();
    keys.push_str(&std::fs::read_to_string(agent.path("other.pub")).unwrap());
    replace_keys(&agent, &keys);
    assert_eq!(text(&attempt().stdout), "in\n");
}

fn replace_keys(agent: &Agent, keys: &str) {
    std::fs::write(agent.path("pod/new"), keys).unwrap();
    std::fs::rename(agent.path("pod/new"), agent.path("pod/authorized_keys")).unwrap();
}

#[test]
fn removing_a_key_ends_its_sessions_within_a_second() {
    let agent = Agent::start();
    let pid_file = agent.path("pid");
    let mut command = agent.ssh(&format!("echo $$ > {}; exec sleep 1000", pid_file.display()));
    let mut client = command.stderr(Stdio::piped()).spawn().unwrap();
    let pid = until("the session", || std::fs::read_to_string(&pid_file).ok()?.trim().parse().ok());
    let removed = Instant::now();
    replace_keys(&agent, "# nobody\n");
    until("the client to be put out", || client.try_wait().unwrap());
    assert!(removed.elapsed() < Duration::from_secs(1), "{:?}", removed.elapsed());
    until("its process to end", || (!is_alive(pid)).then_some(()));
    let mut said = String::new();
    client.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(said.contains("key was removed"), "{said}");
    assert_eq!(agent.ssh("true").output().unwrap().status.code(), Some(255));
}

#[test]
fn another_key_of_the_same_person_stays() {
    let agent = Agent::start();
    let pid_file = agent.path("pid");
    let mut client = agent.ssh(&format!("echo $$ > {}; cat", pid_file.display()));
    let mut client = client.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    until("the session", || std::fs::read_to_string(&pid_file).ok()?.trim().parse::<u32>().ok());
    new_key(&agent.path("other"));
    let keys = std::fs::read_to_string(agent.path("pod/authorized_keys")).unwrap();
    replace_keys(&agent, &(std::fs::read_to_string(agent.path("other.pub")).unwrap() + &keys));
    // A login after the change has seen the new file, and by then the watcher polls it too.
    agent.run("sleep 0.6");
    drop(client.stdin.take());
    assert!(client.wait().unwrap().success());
}

#[test]
fn an_unknown_user_is_refused() {
    let agent = Agent::start();
    let output = agent.client("ssh").args(["-l", "nobody-like-that", "pod", "id"]).output().unwrap();
    assert!(text(&output.stderr).contains("Permission denied"), "{output:?}");
}

#[test]
fn root_may_log_in_as_any_user_of_the_image() {
    let agent = Agent::start();
    let mut command = agent.client("ssh");
    let output = command.args(["-l", "daemon", "pod", "id -un; id -gn; echo $HOME $USER"]).output().unwrap();
    let said = text(&output.stdout);
    assert!(said.starts_with("daemon\ndaemon\n") && said.trim().ends_with("daemon"), "{output:?}");
    let mut command = agent.client("ssh");
    let output =
        command.args(["-tt", "-l", "daemon", "pod", "test -w $(tty) && echo mine"]).output().unwrap();
    assert!(text(&output.stdout).contains("mine"), "{output:?}");
    let mut command = agent.client("sftp");
    command.args(["-b", "-", "-o", "User=daemon", "pod"]);
    let output = crate::support::with_input(&mut command, b"put /etc/hostname /root/forbidden\n");
    assert!(!output.status.success());
    assert!(!std::path::Path::new("/root/forbidden").exists());
}

#[test]
fn rsa_keys_log_in_and_passwords_do_not_exist() {
    let agent = Agent::start();
    let key = agent.path("rsa");
    let mut make = std::process::Command::new("ssh-keygen");
    assert!(
        make.args(["-q", "-t", "rsa", "-b", "2048", "-N", "", "-f"]).arg(&key).status().unwrap().success()
    );
    let keys = std::fs::read_to_string(agent.path("rsa.pub")).unwrap();
    replace_keys(&agent, &keys);
    let config = std::fs::read_to_string(agent.path("client")).unwrap();
    let config = config.replace(agent.path("id").to_str().unwrap(), key.to_str().unwrap());
    std::fs::write(agent.path("client"), config).unwrap();
    assert_eq!(agent.run("echo rsa"), "rsa\n");
    let output = agent.client("ssh").args(["-o", "PubkeyAuthentication=no", "pod", "id"]).output().unwrap();
    assert!(text(&output.stderr).contains("Permission denied (publickey)"), "{output:?}");
}

#[test]
fn strangers_are_bounded_and_make_room_when_they_leave() {
    let agent = Agent::start();
    let greeted = |stream: &mut std::net::TcpStream| stream.read(&mut [0; 16]).is_ok_and(|count| count > 0);
    let mut strangers: Vec<_> = (0..64).map(|_| agent.connect()).collect();
    assert!(strangers.iter_mut().all(greeted));
    assert!(!greeted(&mut agent.connect()), "one too many");
    drop(strangers);
    until("room", || greeted(&mut agent.connect()).then_some(()));
    assert_eq!(agent.run("echo in"), "in\n");
}
