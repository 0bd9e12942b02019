//! Waiting for a pod, and saying how far it is.

use crate::context::Context;
use crate::failure::{Code, Failure, Result};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use podbay_api::client::{Client, Error};
use podbay_api::pods::PodStatusRow;
use podbay_core::published::{InstallationStatus, PodStatus};
use std::time::Duration;

/// Looks without an answer, one after the other, before the wait is given up.
const FAILURES_MAX: u32 = 10;

/// What is waited for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// SSH answers.
    Ssh,
    /// Everything is installed.
    Installed,
}

impl Goal {
    fn reached(self, row: &PodStatusRow) -> bool {
        let up = row.status.is(PodStatus::Active) && row.ssh_connection.is_some();
        let installed =
            row.installation_status.as_ref().is_none_or(|status| status.is(InstallationStatus::Finished));
        up && (self == Self::Ssh || installed)
    }
}

/// Waits until the pod is as far as `goal`.
pub async fn pod(
    context: &mut Context<'_>,
    client: &Client,
    id: &str,
    goal: Goal,
    limit: Duration,
) -> Result<PodStatusRow> {
    let mut progress = Progress::new(context.terminal.err_is_terminal);
    let waited = tokio::time::timeout(limit, watch(context, client, id, goal, &mut progress)).await;
    progress.end();
    waited.unwrap_or_else(|_| {
        let text = format!("pod {id} was not ready after {}", spell(limit));
        Err(Failure::new(Code::WaitEnded, text)
            .hint(format!("it is still being made; `podbay pods events {id}` tells what happened so far")))
    })
}

async fn watch(
    context: &mut Context<'_>,
    client: &Client,
    id: &str,
    goal: Goal,
    progress: &mut Progress,
) -> Result<PodStatusRow> {
    let mut failures = 0;
    loop {
        match client.pod_statuses(&[id]).await {
            Ok(rows) => {
                failures = 0;
                let row = rows.into_iter().find(|row| row.pod_id == id);
                let row = row.ok_or_else(|| ended(id, "is gone"))?;
                if goal.reached(&row) {
                    return Ok(row);
                }
                judge(&row)?;
                if let Some(line) = progress.show(&row) {
                    context.terminal.say(&line);
                }
            }
            Err(error) if passing(&error) && failures < FAILURES_MAX => {
                failures += 1;
                if failures == 1 {
                    progress.pause(|| context.terminal.say(&format!("no answer, still trying: {error}")));
                }
            }
            Err(error) => return Err(error.into()),
        }
        tokio::time::sleep(context.poll).await;
    }
}

/// Whether asking again may help: a server that restarts is no reason to give up.
fn passing(error: &Error) -> bool {
    match error {
        Error::Unreachable { .. } => true,
        Error::Status { status, .. } => *status >= 500 || *status == 429,
        Error::Setup(_) | Error::Malformed { .. } => false,
    }
}

fn judge(row: &PodStatusRow) -> Result<()> {
    let failed = row.installation_status.as_ref().is_some_and(|status| status.is(InstallationStatus::Error));
    if row.status.is(PodStatus::Error) || failed {
        let why = row.installation_failure.as_deref().unwrap_or("the server gave no reason");
        let id = &row.pod_id;
        return Err(ended(id, &format!("ended in ERROR: {why}"))
            .hint(format!("`podbay pods events {id}` and `podbay pods logs {id}` tell more")));
    }
    if row.status.is(PodStatus::Deleting) || row.status.is(PodStatus::Terminated) {
        return Err(ended(&row.pod_id, "was deleted"));
    }
    Ok(())
}

fn ended(id: &str, what: &str) -> Failure {
    Failure::new(Code::WaitEnded, format!("pod {id} {what}"))
}

/// How far a pod is, in words: `PROVISIONING 40%`, or `INSTALLING` while SSH answers already.
pub fn stage(status: &str, installation: Option<&str>, percent: Option<u8>) -> String {
    let active = PodStatus::Active.as_str();
    let finished =
        [None, Some(InstallationStatus::Finished.as_str()), Some(InstallationStatus::Error.as_str())];
    let word = if status == active && !finished.contains(&installation) { "INSTALLING" } else { status };
    let moving = word == "INSTALLING"
        || word == PodStatus::Provisioning.as_str()
        || word == PodStatus::Pending.as_str();
    match percent {
        Some(percent) if moving => format!("{word} {percent}%"),
        _ => word.to_owned(),
    }
}

/// A bar on a terminal; elsewhere a line for each change.
struct Progress {
    bar: Option<ProgressBar>,
    last: String,
}

impl Progress {
    fn new(is_terminal: bool) -> Self {
        let bar = is_terminal.then(|| {
            let bar = ProgressBar::with_draw_target(Some(100), ProgressDrawTarget::stderr());
            if let Ok(style) = ProgressStyle::with_template("{spinner} {bar:30} {elapsed} {msg}") {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        Self { bar, last: String::new() }
    }

    /// Shows the state; gives the line to say if there is no bar and something has changed.
    fn show(&mut self, row: &PodStatusRow) -> Option<String> {
        let installation = row.installation_status.as_ref().map(ToString::to_string);
        let percent = row.installation_progress;
        let stage = stage(&row.status.to_string(), installation.as_deref(), percent);
        match &self.bar {
            Some(bar) => {
                bar.set_position(percent.unwrap_or(0).into());
                bar.set_message(crate::printable::line(&stage));
                None
            }
            None if stage != self.last => {
                self.last.clone_from(&stage);
                Some(stage)
            }
            None => None,
        }
    }

    fn pause(&self, talk: impl FnOnce()) {
        match &self.bar {
            Some(bar) => bar.suspend(talk),
            None => talk(),
        }
    }

    fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Reads `90s`, `20m`, `12h` or `30d`.
pub fn duration(text: &str) -> std::result::Result<Duration, String> {
    let wrong = || "write a number and a unit, as in 90s, 20m, 12h or 30d".to_owned();
    let unit = text.chars().next_back().ok_or_else(wrong)?;
    let number: u64 = text[..text.len() - unit.len_utf8()].parse().map_err(|_| wrong())?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 60 * 60,
        'd' => 24 * 60 * 60,
        _ => return Err(wrong()),
    };
    // A hundred years: more than that is a slip of the finger.
    let total = number.checked_mul(seconds).filter(|total| (1..=3_155_760_000).contains(total));
    total.map(Duration::from_secs).ok_or_else(|| "it must be between a second and a hundred years".to_owned())
}

fn spell(duration: Duration) -> String {
    match duration.as_secs() {
        seconds if seconds % 60 == 0 && seconds > 0 => format!("{} min", seconds / 60),
        seconds => format!("{seconds} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("30d"), Ok(Duration::from_secs(30 * 86_400)));
        for text in ["", "5", "m", "-1m", "1.5h", "0s", "999999999999999999d", "5µ", "36526d"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_stage_is_told_as_people_know_it() {
        assert_eq!(stage("PROVISIONING", Some("ACTIVE"), Some(40)), "PROVISIONING 40%");
        assert_eq!(stage("ACTIVE", Some("ACTIVE"), Some(90)), "INSTALLING 90%");
        assert_eq!(stage("ACTIVE", Some("FINISHED"), Some(100)), "ACTIVE");
        assert_eq!(stage("ERROR", Some("ERROR"), Some(10)), "ERROR");
    }
}
