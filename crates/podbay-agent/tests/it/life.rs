//! PID 1's work: the command, the server's life, orphans, the end.

use std::time::Duration;

use rustix::process::Signal;

use crate::support::{Agent, children, command_line, is_alive, kill, status, until};

fn with_command(command: &str) -> Agent {
    let words = serde_json_words(&["/bin/sh", "-c", command]);
    Agent::with(&format!(r#"{{"shells": ["/bin/sh"], "command": {words}}}"#))
}

fn serde_json_words(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
    format!("[{}]", quoted.join(", "))
}

fn log_lines(agent: &Agent, start: &str) -> Vec<String> {
    agent.log().lines().filter(|line| line.starts_with(start)).map(str::to_owned).collect()
}

#[test]
fn the_commands_output_and_end_are_in_the_log_and_the_pod_goes_on() {
    let agent = with_command("echo out; echo err >&2; exit 7");
    until("the end of the command", || log_lines(&agent, "podbay: command").first().cloned());
    assert_eq!(agent.run("echo still here"), "still here\n");
    assert_eq!(log_lines(&agent, "podbay: command"), ["podbay: command exited with status 7"]);
    assert_eq!(log_lines(&agent, "out").len(), 1);
    assert_eq!(log_lines(&agent, "err").len(), 1);
}

#[test]
fn a_command_killed_by_a_signal_is_logged_by_its_name() {
    let agent = with_command("kill -KILL $$");
    until("the end of the command", || log_lines(&agent, "podbay: command").first().cloned());
    assert_eq!(log_lines(&agent, "podbay: command"), ["podbay: command killed by signal KILL"]);
}

#[test]
fn a_command_that_cannot_be_started_is_logged() {
    let agent = Agent::with(r#"{"shells": ["/bin/sh"], "command": ["/no/such/program"]}"#);
    assert_eq!(agent.run("echo here"), "here\n");
    let lines = log_lines(&agent, "podbay: command");
    assert_eq!(lines.len(), 1);
    assert!(lines[0].starts_with("podbay: command could not be started: /no/such/program: "), "{lines:?}");
}

#[test]
fn the_command_runs_in_its_directory_and_session_without_input() {
    let agent = Agent::with(
        r#"{"shells": ["/bin/sh"], "working_dir": "/usr", "user": "daemon",
            "command": ["/bin/sh", "-c", "pwd; id -un; cut -d' ' -f1,5,6 /proc/$$/stat; wc -c; exec sleep 1000"]}"#,
    );
    let log = until("its output", || Some(agent.log()).filter(|log| log.lines().count() >= 5));
    let lines: Vec<&str> = log.lines().filter(|line| !line.starts_with("podbay:")).collect();
    assert_eq!(lines[..2], ["/usr", "daemon"]);
    let ids: Vec<&str> = lines[2].split_whitespace().collect();
    assert!(ids[0] == ids[1] && ids[1] == ids[2], "{ids:?}");
    assert_eq!(lines[3].trim(), "0");
}

#[test]
fn a_crashed_server_is_started_again_and_the_command_survives() {
    let agent = with_command("exec sleep 1000");
    agent.run("true");
    let server = agent.server();
    let of = |pids: Vec<u32>| pids.into_iter().find(|pid| command_line(*pid).contains("sleep 1000"));
    let command = of(children(agent.pid())).unwrap();
    for _ in 0..2 {
        let server = agent.server();
        kill(Signal::KILL, server);
        until("the old server to be gone", || (!is_alive(server)).then_some(()));
        assert_eq!(agent.run("echo again"), "again\n");
    }
    assert_ne!(agent.server(), server);
    assert!(is_alive(command));
}

#[test]
fn a_service_runs_beside_the_command_and_is_stopped_with_the_pod() {
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        r#"{{"shells": ["/bin/sh"], "command": ["/bin/sh", "-c", "exit 3"], "user": "daemon",
            "service": {{"name": "Jupyter", "env": {{"SECRET_FOLDER": "/x y"}},
                "command": ["sh", "-c", "echo $SECRET_FOLDER; id -un; echo $$ > {0}; exec sleep 1000"]}}}}"#,
        folder.path().join("pid").display()
    );
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let mut agent = Agent::with(&config);
    let pid: u32 =
        until("the service", || std::fs::read_to_string(folder.path().join("pid")).ok()?.trim().parse().ok());
    assert_eq!(log_lines(&agent, "/x y").len(), 1);
    assert_eq!(log_lines(&agent, "daemon").len(), 1);
    until("the end of the command", || log_lines(&agent, "podbay: command").first().cloned());
    assert!(is_alive(pid), "the service does not end with the command");
    assert_eq!(agent.run("echo $SECRET_FOLDER"), "\n");
    let took = agent.stop();
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert_eq!(log_lines(&agent, "podbay: Jupyter"), ["podbay: Jupyter killed by signal TERM"]);
}

#[test]
fn a_service_that_the_image_lacks_ends_the_pod_before_anything_is_started() {
    let folder = tempfile::tempdir().unwrap();
    let config = r#"{"command": ["/bin/sh", "-c", "echo started"],
                     "service": {"name": "Jupyter", "command": ["jupyter-lab", "--x"]}}"#;
    std::fs::write(folder.path().join("config.json"), config).unwrap();
    let mut init = std::process::Command::new(env!("CARGO_BIN_EXE_podbay-agent"));
    init.args(["init", "--listen", "127.0.0.1:0", "--dir"]).arg(folder.path()).env("PATH", "/bin:/usr/bin");
    let output = init.output().unwrap();
    assert_eq!(output.status.code(), Some(117));
    let text = "podbay: the image has no Jupyter: there is no program jupyter-lab in its PATH\n";
    assert_eq!(String::from_utf8_lossy(&output.stderr), text);
    assert!(output.stdout.is_empty());
}

#[test]
fn orphans_are_reaped() {
    let agent = Agent::start();
    agent.run("for i in 1 2 3 4 5; do (setsid sleep 0.0$i >/dev/null 2>&1 </dev/null &) ; done");
    let pid_file = agent.path("orphan");
    agent.run(&format!(
        "(setsid sh -c 'echo $$ > {}; exec sleep 1000' >/dev/null 2>&1 </dev/null &)",
        pid_file.display()
    ));
    let orphan: u32 = until("the orphan", || std::fs::read_to_string(&pid_file).ok()?.trim().parse().ok());
    until("the orphan to be adopted", || (status(orphan, "PPid")? == agent.pid().to_string()).then_some(()));
    kill(Signal::KILL, orphan);
    until("every dead child to be reaped", || {
        let server = agent.server();
        let mut all = children(agent.pid());
        all.extend(children(server));
        all.iter().all(|pid| is_alive(*pid)).then_some(())
    });
    until("the orphan to be gone", || status(orphan, "PPid").is_none().then_some(()));
}

#[test]
fn a_stop_is_quick_and_reaches_the_command_and_the_sessions() {
    let mut agent = with_command("trap 'echo told; exit 0' TERM; echo up; while :; do sleep 0.02; done");
    until("the command", || agent.log().contains("up\n").then_some(()));
    let pid_file = agent.path("pid");
    let mut client =
        agent.ssh(&format!("echo $$ > {}; exec sleep 1000", pid_file.display())).spawn().unwrap();
    let session = until("the session", || std::fs::read_to_string(&pid_file).ok()?.trim().parse().ok());
    let took = agent.stop();
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert!(agent.log().contains("told\n"), "{}", agent.log());
    assert_eq!(log_lines(&agent, "podbay: command"), ["podbay: command exited with status 0"]);
    client.wait().unwrap();
    until("the session to end", || (!is_alive(session)).then_some(()));
}

#[test]
fn other_signals_go_to_the_command() {
    let agent =
        with_command("trap 'echo usr1' USR1; trap 'echo hup' HUP; echo up; while :; do sleep 0.02; done");
    until("the command", || agent.log().contains("up\n").then_some(()));
    kill(Signal::USR1, agent.pid());
    until("the first signal", || agent.log().contains("usr1\n").then_some(()));
    kill(Signal::HUP, agent.pid());
    until("the second signal", || agent.log().contains("hup\n").then_some(()));
    assert_eq!(agent.run("echo here"), "here\n");
}

#[test]
fn version_and_usage() {
    let binary = env!("CARGO_BIN_EXE_podbay-agent");
    let output = std::process::Command::new(binary).arg("--version").output().unwrap();
    assert_eq!(output.stdout, format!("podbay-agent {}\n", env!("CARGO_PKG_VERSION")).into_bytes());
    let output = std::process::Command::new(binary).arg("dance").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}
