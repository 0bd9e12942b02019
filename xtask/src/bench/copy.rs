//! A large file into a pod and out of it, beside OpenSSH's server; and what the agent holds while nobody
//! reads.

use super::memory::{self, Kind};
use super::report::{Report, Wanted, median, short};
use super::ssh::{Container, Pod};
use super::wire::Wire;
use crate::engine::Engine;
use crate::server::{INSTALL_LABEL, Server};
use crate::sh::{self, Context, Result};
use crate::ssh::{Address, Key};
use std::fs::File;
use std::io::Read;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

const FILE_MB: u64 = 400;
const ROUNDS: usize = 5;
const REMOTE: &str = ":/root/bench.data";
/// After this a copy has begun and not yet ended.
const UNDER_WAY: Duration = Duration::from_millis(700);
const STALL: Duration = Duration::from_secs(3);

pub fn compare(engine: &Engine, server: &mut Server, key: &Key, report: &mut Report) -> Result<()> {
    let mut wire = Wire::open(&server.api)?;
    let pod = Pod::order(server, &mut wire, key, "bench-copy")?;
    let agents = Agents::of(engine, server)?;
    std::thread::sleep(Duration::from_secs(2));
    let share = agents.memory(Kind::Share)?;
    report.value("agent, idle, both processes, shared pages once", share, "MB", Wanted::AtMost(6.0));
    let resident = agents.memory(Kind::Resident)?;
    report.value("agent, idle, sum of what is resident", resident, "MB", Wanted::Nothing);
    let by_hand = Container::start(engine, server, key, "copy")?;
    let file = server.folder.join("bench.data");
    fill(&file)?;
    let file = file.display().to_string();
    sh::say(format!("scp of {FILE_MB} MB, {ROUNDS} rounds, in turn"));
    let both = [&pod.address, &by_hand.address];
    turns(report, "scp of 400 MB into the pod", || both.map(|to| copy(key, to, &file, REMOTE)))?;
    turns(report, "scp of 400 MB out of the pod", || both.map(|to| copy(key, to, REMOTE, "/dev/null")))?;
    drop(by_hand);
    stalls(&agents, key, &pod.address, report)?;
    pod.delete(server, &mut wire)
}

/// Bytes that do not compress, and are not read from the disk when they are sent.
fn fill(path: &std::path::Path) -> Result<()> {
    let mut source = File::open("/dev/urandom").context("/dev/urandom")?.take(FILE_MB * 1_000_000);
    let mut file = File::create(path).context(path.display())?;
    std::io::copy(&mut source, &mut file).context(path.display())?;
    file.sync_all().context(path.display())
}

fn turns(report: &mut Report, what: &str, mut round: impl FnMut() -> [Result<Duration>; 2]) -> Result<()> {
    let (mut ours, mut theirs, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..=ROUNDS {
        let [own, other] = round();
        let (own, other) = (own?.as_secs_f64(), other?.as_secs_f64());
        // The first finds cold files.
        if number > 0 {
            ours.push(own);
            theirs.push(other);
            ratios.push(other / own);
        }
    }
    let rate = |times: Vec<f64>| format!("{} MB/s", short(f64::from(FILE_MB as u32) / median(times)));
    report.ratio(what, rate(ours), rate(theirs), median(ratios), Wanted::AtLeast(1.2));
    Ok(())
}

fn copy(key: &Key, address: &Address, from: &str, to: &str) -> Result<Duration> {
    let begin = Instant::now();
    sh::capture(&mut key.scp(address, from, to))?;
    Ok(begin.elapsed())
}

/// Readers that stop: the client of a command that writes without end, the client of a copy, and a command
/// that is written to. What counts is the most that all processes of the agent hold together.
fn stalls(agents: &Agents, key: &Key, address: &Address, report: &mut Report) -> Result<()> {
    sh::say("readers that stall");
    let cases = [
        ("a client does not read", key.ssh(address, "cat /dev/zero"), "/dev/null", false),
        ("scp stands still", key.scp(address, REMOTE, "/dev/null"), "/dev/null", true),
        ("a command does not read", key.ssh(address, "sleep 60"), "/dev/zero", false),
    ];
    for (what, mut client, input, is_stopped) in cases {
        client.stdin(File::open(input).context(input)?).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut client = Stalled(client.spawn().context("ssh")?);
        if is_stopped {
            std::thread::sleep(UNDER_WAY);
            sh::signal(client.0.id(), "STOP");
        }
        let early = agents.most(STALL)?;
        let late = agents.most(STALL)?;
        if let Some(status) = client.0.try_wait().context("ssh")? {
            return Err(format!("{what}: the client ended: {status}").into());
        }
        let text = |most: f64, when: &str| format!("{} MB {when}", short(most));
        let (ours, before) = (text(late, "after 6 s"), text(early, "after 3 s"));
        report.ratio(&format!("agent, while {what}"), ours, before, late / early, Wanted::AtMost(1.05));
    }
    Ok(())
}

/// A client that reads nothing; ended when it is dropped.
struct Stalled(Child);

impl Drop for Stalled {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The processes of the agent in the only pod of a server.
struct Agents {
    first: u32,
}

impl Agents {
    fn of(engine: &Engine, server: &Server) -> Result<Self> {
        let containers = engine.containers(&format!("{INSTALL_LABEL}={}", server.install))?;
        let container = containers.first().context("no container of the server")?;
        let inspect = ["inspect", "--format", "{{.State.Pid}}", container];
        let first = sh::capture(engine.command().args(inspect))?.trim().parse().context("a process id")?;
        Ok(Self { first })
    }

    /// The most that they hold within a time.
    fn most(&self, within: Duration) -> Result<f64> {
        let (begin, mut most) = (Instant::now(), 0.0_f64);
        while begin.elapsed() < within {
            std::thread::sleep(Duration::from_millis(100));
            most = most.max(self.memory(Kind::Resident)?);
        }
        Ok(most)
    }

    /// All of them together, in MB.
    fn memory(&self, kind: Kind) -> Result<f64> {
        let all = memory::family(self.first);
        let agents = all.into_iter().filter(|pid| memory::program(*pid).ends_with("podbay-agent"));
        agents.map(|pid| memory::megabytes(pid, kind)).sum()
    }
}
