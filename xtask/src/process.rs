//! A process this tool started and therefore stops.

use crate::sh::{self, Context, Result};
use serde_json::Value;
use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

pub struct Process {
    child: Child,
    ended: Option<ExitStatus>,
}

impl Process {
    /// Starts it with both outputs appended to `log`.
    pub fn start(command: &mut Command, log: &Path) -> Result<Self> {
        let out = File::options().create(true).append(true).open(log).context(log.display())?;
        let err = out.try_clone()?;
        let child =
            command.stdin(Stdio::null()).stdout(out).stderr(err).spawn().context(sh::describe(command))?;
        Ok(Self { child, ended: None })
    }

    /// The same, for a program that says in one line of JSON where it is to be found.
    pub fn start_saying(command: &mut Command, log: &Path) -> Result<(Self, Value)> {
        Self::start_saying_within(Duration::from_secs(60), command, log)
    }

    pub fn start_saying_within(
        patience: Duration,
        command: &mut Command,
        log: &Path,
    ) -> Result<(Self, Value)> {
        let mut process = Self::start(command, log)?;
        let (mut text, mut said) = (String::new(), Value::Null);
        wait_until(patience, Duration::from_millis(50), || {
            text = std::fs::read_to_string(log).unwrap_or_default();
            said = text.lines().find_map(|line| serde_json::from_str(line).ok()).unwrap_or_default();
            !said.is_null() || process.ended().is_some()
        });
        if said.is_null() {
            let end = sh::tail(&text, 20);
            return Err(format!("{} did not start\n{end}", sh::describe(command)).into());
        }
        Ok((process, said))
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn ended(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().ok().flatten();
        }
        self.ended
    }

    /// Asks it to end, and after `patience` makes it end. `None` when it had to be made to.
    pub fn stop(&mut self, signal: &str, patience: Duration) -> Option<ExitStatus> {
        if let Some(status) = self.ended() {
            return Some(status);
        }
        sh::signal(self.pid(), signal);
        if wait_until(patience, Duration::from_millis(20), || self.ended().is_some()) {
            return self.ended;
        }
        let _ = self.child.kill();
        self.ended = self.child.wait().ok();
        None
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop("TERM", Duration::from_secs(10));
    }
}

/// Asks again and again until the answer is yes or the patience is over.
pub fn wait_until(patience: Duration, pause: Duration, mut yes: impl FnMut() -> bool) -> bool {
    let begin = Instant::now();
    loop {
        if yes() {
            return true;
        }
        if begin.elapsed() >= patience {
            return false;
        }
        thread::sleep(pause);
    }
}
