//! Commands, shells and terminals.

use std::process::{Command, Stdio};

use rustix::process::Signal;

use crate::support::{Agent, is_alive, kill, success, text, until, with_input};

#[test]
fn output_errors_and_exit_status_arrive() {
    let agent = Agent::start();
    let output = agent.ssh("echo out; echo err >&2; exit 42").output().unwrap();
    assert_eq!(text(&output.stdout), "out\n");
    assert_eq!(text(&output.stderr), "err\n");
    assert_eq!(output.status.code(), Some(42));
}

#[test]
fn a_signal_that_ended_the_command_is_reported() {
    let agent = Agent::start();
    let mut command = agent.client("ssh");
    let output = command.args(["-o", "LogLevel=DEBUG1", "pod", "kill -TERM $$"]).output().unwrap();
    // OpenSSH's client shows 255 for any signal and names the request in its debug output.
    assert_eq!(output.status.code(), Some(255));
    assert!(text(&output.stderr).contains("exit-signal"), "{output:?}");
}

#[test]
fn input_is_passed_and_its_end_too() {
    let agent = Agent::start();
    let input: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect();
    let output = with_input(&mut agent.ssh("cat; echo done >&2"), &input);
    assert!(output.stdout == input, "{} of {} bytes", output.stdout.len(), input.len());
    assert_eq!(text(&output.stderr), "done\n");
}

#[test]
fn a_command_that_does_not_read_ends_all_the_same() {
    let agent = Agent::start();
    let input = vec![7; 20_000_000];
    let output = with_input(&mut agent.ssh("head -c 3 >/dev/null; echo enough"), &input);
    assert_eq!(text(&output.stdout), "enough\n");
}

#[test]
fn the_environment_is_the_containers_and_the_clients_but_not_the_loaders() {
    let agent = Agent::start();
    let mut command = agent.client("ssh");
    let set = "SetEnv=GREETING=hello LD_PRELOAD=/nothing.so PATH=/nowhere LC_PAPER=a4";
    command.args(["-o", set, "pod", "env"]);
    let output = success(&mut command);
    let has = |line: &str| output.lines().any(|other| other == line);
    assert!(has("GREETING=hello") && has("LC_PAPER=a4"), "{output}");
    assert!(has("HOME=/root") && has("USER=root") && has("LOGNAME=root") && has("SHELL=/bin/sh"), "{output}");
    assert!(!output.contains("nothing.so") && !has("PATH=/nowhere"), "{output}");
    let port = format!(" 127.0.0.1 {}", agent.port);
    assert!(
        output.lines().any(|line| line.starts_with("SSH_CONNECTION=127.0.0.1 ") && line.ends_with(&port))
    );
    assert!(output.contains("\nSSH_CLIENT=") || output.starts_with("SSH_CLIENT="));
    assert!(!output.contains("SSH_TTY="));
}

#[test]
fn a_session_starts_at_home() {
    let agent = Agent::start();
    assert_eq!(agent.run("pwd").trim(), "/root");
}

/// `ssh -tt` in a terminal of its own, driven by Python, which can set that terminal's size.
fn in_terminal(agent: &Agent, script: &str) -> String {
    let helper = r#"
import fcntl, os, pty, re, struct, sys, termios
def size(fd, rows, columns):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
pid, fd = pty.fork()
if pid == 0:
    modes = termios.tcgetattr(0)
    modes[6][termios.VERASE] = b"\x08"
    termios.tcsetattr(0, termios.TCSANOW, modes)
    while fcntl.ioctl(0, termios.TIOCGWINSZ, bytes(8))[0] == 0:
        pass
    os.execvp(sys.argv[2], sys.argv[2:])
size(fd, 33, 77)
seen = b""
def expect(pattern):
    global seen
    while not re.search(pattern, seen):
        try:
            data = os.read(fd, 4096)
        except OSError:
            data = b""
        if not data:
            sys.exit("no %r in %r" % (pattern, seen))
        seen += data
exec(open(sys.argv[1]).read())
os.waitpid(pid, 0)
sys.stdout.write(seen.decode())
"#;
    std::fs::write(agent.path("helper.py"), helper).unwrap();
    std::fs::write(agent.path("script.py"), script).unwrap();
    let mut command = Command::new("timeout");
    command.args(["20", "python3"]).arg(agent.path("helper.py")).arg(agent.path("script.py"));
    command.args(["ssh", "-tt", "-F"]).arg(agent.path("client")).arg("pod");
    success(command.env("TERM", "vt220").stdin(Stdio::null()))
}

#[test]
fn a_shell_has_a_terminal_that_follows_the_clients_window() {
    let agent = Agent::start();
    let seen = in_terminal(
        &agent,
        r#"
os.write(fd, b"PS1=; stty size; echo term=$TERM tty=$SSH_TTY name=$0\n")
expect(b"33 77")
expect(b"term=vt220 tty=/dev/pts/[0-9]+ name=-sh")
size(fd, 44, 88)
os.write(fd, b"until stty size | grep 44; do :; done; exit\n")
expect(b"44 88")
"#,
    );
    assert!(seen.contains("44 88"));
}

#[test]
fn control_c_reaches_the_foreground_program() {
    let agent = Agent::start();
    in_terminal(
        &agent,
        r#"
os.write(fd, b"PS1=; echo rea''dy; sleep 1000\n")
expect(b"ready")
import select
# Once may be too early: a shell has started a program a moment before it makes it the foreground one.
while not re.search(b"gone", seen):
    os.write(fd, b"\x03echo go''ne; exit\n")
    if select.select([fd], [], [], 0.5)[0]:
        seen += os.read(fd, 4096)
"#,
    );
}

#[test]
fn terminal_modes_are_the_clients() {
    let agent = Agent::start();
    let script = r#"
os.write(fd, b"PS1=; stty -a; exit\n")
expect(b"erase = ")
expect(b"iutf8")
"#;
    let seen = in_terminal(&agent, script);
    // Not the kernel's default, which is ^?.
    assert!(seen.contains("erase = ^H") && seen.contains("intr = ^C"), "{seen}");
}

#[test]
fn the_process_group_is_hung_up_when_the_client_leaves() {
    let agent = Agent::start();
    let (mark, pid_file) = (agent.path("mark"), agent.path("pid"));
    let line = format!(
        "trap 'echo hup > {}; exit' HUP; echo $$ > {}; while :; do sleep 0.02; done",
        mark.display(),
        pid_file.display()
    );
    let mut client = agent.ssh(&line).spawn().unwrap();
    let pid: u32 =
        until("the command to run", || std::fs::read_to_string(&pid_file).ok()?.trim().parse().ok());
    kill(Signal::TERM, client.id());
    client.wait().unwrap();
    until("the hangup", || std::fs::read_to_string(&mark).ok().filter(|text| text == "hup\n"));
    until("the command to end", || (!is_alive(pid)).then_some(()));
}

#[test]
fn the_status_is_told_before_the_end_of_the_output() {
    // A client that has nothing to send closes the channel at the end of the output, and reports
    // 255 if it was not told a status by then.
    let agent = Agent::start();
    for (line, told) in [("exit 3", "rtype exit-status"), ("kill -9 $$", "rtype exit-signal")] {
        let mut command = agent.client("ssh");
        let output =
            command.args(["-vv", "-o", "LogLevel=DEBUG2", "pod", line]).stdin(Stdio::null()).output();
        let seen = text(&output.unwrap().stderr);
        let at = |words: &str| seen.find(words).unwrap_or_else(|| panic!("no {words:?} in:\n{seen}"));
        assert!(at(told) < at("rcvd eof"), "{seen}");
    }
}

#[test]
fn many_commands_at_once_over_one_connection() {
    let agent = Agent::start();
    let _shared = agent.shared_connection();
    let clients: Vec<_> = (0..40)
        .map(|number| {
            let mut command = agent.over(&format!("cat /dev/null; echo {number}; exit {number}"));
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for (number, client) in clients.into_iter().enumerate() {
        let output = client.wait_with_output().unwrap();
        assert_eq!(text(&output.stdout), format!("{number}\n"), "{output:?}");
        assert_eq!(output.status.code(), Some(i32::try_from(number).unwrap()), "{output:?}");
    }
}

#[test]
fn without_any_shell_programs_run_by_their_words() {
    let agent = Agent::with(r#"{"shells": []}"#);
    assert_eq!(agent.run("printf '%s|%s' 'a b' c\\ d"), "a b|c d");
    let output = agent.ssh("no-such-program --x").output().unwrap();
    assert_eq!(output.status.code(), Some(127));
    assert_eq!(text(&output.stderr).trim(), "podbay: no-such-program: not found");
    let output = agent.client("ssh").arg("pod").stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(127));
    assert!(text(&output.stderr).contains("no shell"), "{output:?}");
}

#[test]
fn agent_forwarding_is_refused_in_words() {
    let agent = Agent::start();
    let socket = agent.path("keys");
    let keys = Command::new("ssh-agent").arg("-D").arg("-a").arg(&socket).stdout(Stdio::null()).spawn();
    let _keys = crate::support::Running(keys.unwrap());
    until("ssh-agent", || socket.exists().then_some(()));
    let mut command = agent.client("ssh");
    command.args(["-A", "pod", "echo agent=$SSH_AUTH_SOCK"]).env("SSH_AUTH_SOCK", &socket);
    let output = command.output().unwrap();
    assert!(text(&output.stderr).contains("agent forwarding is not available"), "{output:?}");
    assert!(output.status.success());
}

#[test]
fn an_unknown_subsystem_is_refused() {
    let agent = Agent::start();
    let output = agent.client("ssh").args(["-s", "pod", "netconf"]).stdin(Stdio::null()).output().unwrap();
    assert!(text(&output.stderr).contains("subsystem request failed"), "{output:?}");
}
