//! Every route at a constant rate, over a server with 1,000 pods: each GET route alone, and all that change
//! something mixed with one another.
//!
//! Calls come when they are due, whether those before have been answered or not, and a call's time is
//! counted from when it was due: a server that stands still for a moment is not spared the calls that
//! it would have met.

use super::http::Ours;
use super::report::{Report, Wanted, milliseconds, short};
use super::stats::Samples;
use super::wire::Wire;
use crate::http::{Api, rows, text};
use crate::paths;
use crate::sh::{self, Context, Result};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const PODS: u32 = 1000;
const RATE: u32 = 200;
const SECONDS: u32 = 5;
/// Long enough that each of the routes that change something is called a thousand times, as each GET is: of 250
/// calls the third slowest is the p99, and of thirty routes one or two have three that this machine held up.
const MIXED_SECONDS: u32 = 160;
/// Calls that may be under way at the same time; far more than a server that keeps up ever has.
const CONNECTIONS: u32 = 16;
/// Between two looks at the disk alone.
const FLOOR_EVERY: Duration = Duration::from_millis(40);
const WANTED: Wanted = Wanted::AtMost(5.0);

pub fn measure(report: &mut Report) -> Result<()> {
    sh::say(format!("routes: {RATE} requests/s for {SECONDS} s each, {PODS} pods"));
    let folder = paths::own_fresh("bench-routes")?;
    let ours = Ours::start(&folder, "routes", PODS)?;
    for read in rows(&ours.said, "/reads") {
        for (how, is_anew) in [("", false), (", made anew", true)] {
            let name = text(read, "/name");
            let what = format!("{name}{how}");
            match paced(&ours.api, SECONDS, |_| Reader { read, is_anew }) {
                Ok(mut seen) => line(report, &what, seen.remove(name).unwrap_or_default()),
                Err(failure) => report.failed(&what, &failure.text),
            }
        }
    }
    mixed(&ours, &folder, report)
}

/// The second part alone, on a server of its own.
pub fn measure_writes(report: &mut Report) -> Result<()> {
    sh::say(format!("routes that change something: {RATE} requests/s for {MIXED_SECONDS} s, {PODS} pods"));
    let folder = paths::own_fresh("bench-writes")?;
    let ours = Ours::start(&folder, "routes", PODS)?;
    mixed(&ours, &folder, report)
}

fn mixed(ours: &Ours, folder: &Path, report: &mut Report) -> Result<()> {
    let chains: Vec<&[Value]> = rows(&ours.said, "/writes").iter().map(|chain| rows(chain, "")).collect();
    let is_over = AtomicBool::new(false);
    let (mixed, floor) = thread::scope(|scope| {
        let floor = scope.spawn(|| floor(&folder.join("floor"), &is_over));
        let mixed = paced(&ours.api, MIXED_SECONDS, |nth| Writer::new(&chains, nth));
        is_over.store(true, Ordering::Relaxed);
        (mixed, floor.join())
    });
    let mut all = Seen::default();
    for (name, seen) in mixed? {
        all.times.extend(&seen.times);
        line(report, &name, seen);
    }
    line(report, "all that change something", all);
    let floor = Samples::new(floor.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
    let p50 = short(milliseconds(floor.percentile(50)));
    let what = format!("the disk beside them, 4 KiB made durable: p50 {p50} ms, p99");
    report.value(&what, milliseconds(floor.percentile(99)), "ms", Wanted::Nothing);
    Ok(())
}

/// What the disk itself takes in the same seconds: no call that makes something durable can be faster.
fn floor(path: &Path, is_over: &AtomicBool) -> Result<Vec<Duration>> {
    let mut file = std::fs::File::create(path).context(path.display())?;
    let mut times = Vec::new();
    while !is_over.load(Ordering::Relaxed) {
        let begin = Instant::now();
        file.write_all(&[0; 4096]).and_then(|()| file.sync_data()).context(path.display())?;
        times.push(begin.elapsed());
        thread::sleep(FLOOR_EVERY);
    }
    Ok(times)
}

/// What was seen of one route.
#[derive(Default)]
struct Seen {
    times: Vec<Duration>,
    failures: usize,
    first_failure: Option<String>,
}

fn line(report: &mut Report, what: &str, seen: Seen) {
    if seen.failures > 0 || seen.times.is_empty() {
        let first = seen.first_failure.unwrap_or_default();
        return report.failed(what, &format!("{} failures: {first}", seen.failures));
    }
    let calls = seen.times.len();
    let times = Samples::new(seen.times);
    let p50 = short(milliseconds(times.percentile(50)));
    let p99 = milliseconds(times.percentile(99));
    report.value(&format!("{what}: {calls} calls, p50 {p50} ms, p99"), p99, "ms", WANTED);
}

/// One of those that call at the same time: its next call, and what it makes of the reply.
trait Caller: Send {
    fn next(&mut self) -> Call<'_>;
    fn learn(&mut self, reply: &[u8]);
}

struct Call<'a> {
    name: &'a str,
    method: &'a str,
    path: String,
    key: Option<&'a str>,
    body: String,
}

fn paced<C: Caller>(api: &Api, seconds: u32, caller: impl Fn(u32) -> C) -> Result<BTreeMap<String, Seen>> {
    let next = AtomicU32::new(0);
    let begin = Instant::now() + Duration::from_millis(50);
    let client = |mut caller: C| -> Result<Vec<(String, Duration, Option<String>)>> {
        let mut wire = Wire::open(api)?;
        let mut seen = Vec::new();
        loop {
            let nth = next.fetch_add(1, Ordering::Relaxed);
            if nth >= RATE * seconds {
                return Ok(seen);
            }
            let due = begin + Duration::from_secs(1) * nth / RATE;
            thread::sleep(due.saturating_duration_since(Instant::now()));
            let Call { name, method, path, key, body } = caller.next();
            let (status, reply) = wire.answer(method, &path, key, &body)?;
            let (time, name) = (due.elapsed(), name.to_owned());
            let said = || format!("HTTP {status}: {}", String::from_utf8_lossy(&reply));
            seen.push((name, time, (status != 200).then(said)));
            caller.learn(&reply);
        }
    };
    let all = thread::scope(|scope| {
        let client = &client;
        let callers: Vec<C> = (0..CONNECTIONS).map(caller).collect();
        let clients: Vec<_> = callers.into_iter().map(|caller| scope.spawn(move || client(caller))).collect();
        clients
            .into_iter()
            .map(|client| client.join().ok().context("a client panicked")?)
            .collect::<Result<Vec<_>>>()
    })?;
    let mut routes: BTreeMap<String, Seen> = BTreeMap::new();
    for (name, time, failure) in all.into_iter().flatten() {
        let seen = routes.entry(name).or_default();
        seen.times.push(time);
        if let Some(failure) = failure {
            seen.failures += 1;
            seen.first_failure.get_or_insert(failure);
        }
    }
    Ok(routes)
}

/// No two calls have the same number.
fn number() -> u32 {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    CALLS.fetch_add(1, Ordering::Relaxed)
}

/// The same call again and again. A parameter that nobody has sent before keeps the server from serving a
/// reply that it has kept.
struct Reader<'a> {
    read: &'a Value,
    is_anew: bool,
}

impl Caller for Reader<'_> {
    fn next(&mut self) -> Call<'_> {
        let mut path = text(self.read, "/path").to_owned();
        if self.is_anew {
            let separator = if path.contains('?') { '&' } else { '?' };
            path.push_str(&format!("{separator}bench={}", number()));
        }
        let key = self.read["key"].as_str();
        Call { name: text(self.read, "/name"), method: "GET", path, key, body: String::new() }
    }

    fn learn(&mut self, _: &[u8]) {}
}

/// Goes through all chains in turn, and remembers what the replies of the present one said.
struct Writer<'a> {
    steps: Vec<&'a Value>,
    at: usize,
    known: HashMap<String, String>,
}

impl<'a> Writer<'a> {
    /// Each one begins with another chain.
    fn new(chains: &[&'a [Value]], nth: u32) -> Self {
        let first = nth as usize % chains.len().max(1);
        let steps = chains.iter().cycle().skip(first).take(chains.len()).copied().flatten().collect();
        Self { steps, at: 0, known: HashMap::new() }
    }

    fn fill(&self, text: &str) -> String {
        let text = text.replace("<nth>", &format!("{:08}", number()));
        self.known.iter().fold(text, |text, (name, value)| text.replace(&format!("<{name}>"), value))
    }
}

impl Caller for Writer<'_> {
    fn next(&mut self) -> Call<'_> {
        let step = self.steps[self.at % self.steps.len()];
        let (path, body) = (self.fill(text(step, "/path")), self.fill(text(step, "/body")));
        let key = step["key"].as_str();
        Call { name: text(step, "/name"), method: text(step, "/method"), path, key, body }
    }

    fn learn(&mut self, reply: &[u8]) {
        let step = self.steps[self.at % self.steps.len()];
        self.at += 1;
        let keeps = rows(step, "/keeps");
        if keeps.is_empty() {
            return;
        }
        let reply: Value = serde_json::from_slice(reply).unwrap_or_default();
        for keep in keeps {
            let value = text(&reply, text(keep, "/1")).to_owned();
            self.known.insert(text(keep, "/0").to_owned(), value);
        }
    }
}
