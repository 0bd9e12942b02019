//! Scenarios as tables. Each line is a command, an arrow, and what follows from it:
//!
//! ```text
//! order          → EnsureImage            PROVISIONING 0% 1/5
//! image ok       → Create                 PROVISIONING 70% 1/5 image.ready ports
//! ```
//!
//! The right side is the next decision, the status, the progress, the attempt, the events, and
//! what happens to bill, ports and resources. [`check`] carries the left sides out and compares
//! the whole table.
//!
//! | command | what happens |
//! |---|---|
//! | `order`, `order restarting` | the pod is made, without and with `autoRestart` |
//! | `image …`, `create …`, `start …`, `inspect …`, `probe …`, `stop …`, `remove …` | that call is due, and is answered so |
//! | `… crash` | the doubt about that call was written, and the process ended |
//! | `do` | the step that is due concerns rows only, and is done |
//! | `due` | the clock moves to the end of the wait |
//! | `at +2s`, `at -1h` | the clock moves by that much |
//! | `delete` | what the delete verb writes |
//! | `suspect` | somebody saw the machine differ from the row |
//! | `remove exited 1 -5s` | the look before a removal found that |
//! | `seen` | a sweep saw every machine run that should |
//! | `lost`, `back` | the owner gives the host up, or it has answered again |

use crate::make;
use podbay_core::Timestamp;
use podbay_core::pod::{
    CallError, Decision, Desired, Effects, FailureCode, HostLost, Learned, MachineFact, MachinePhase, Pod,
    Resource, Step, UsageChange, View, has_gap, learn, mark_unknown, plan,
};
use std::time::Duration;

/// Carries a table out and compares.
#[track_caller]
pub fn check(table: &str) {
    let want: Vec<&str> = table.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let mut run = Run::new();
    let mut got = String::new();
    for line in &want {
        let command = line.split('→').next().unwrap_or_default().trim();
        let effects = run.command(command);
        got += &run.line(command, &effects);
        got.push('\n');
    }
    let squeeze = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let same = want.iter().map(|line| squeeze(line)).eq(got.lines().map(squeeze));
    assert!(same, "\nthe table is\n\n{}\n\nand what happens is\n\n{got}", want.join("\n"));
}

struct Run {
    pod: Pod,
    now: Timestamp,
    view: View,
    /// When the machine was started last.
    started_at: Timestamp,
    /// When the open interval was opened.
    billed_from: Option<Timestamp>,
    /// The interval that was closed last.
    billed: Option<(Timestamp, Timestamp)>,
    /// When a sweep saw everything run last.
    last_seen: Timestamp,
}

impl Run {
    fn new() -> Self {
        let (now, view) = (make::START, View::default());
        Self {
            pod: make::pod(false),
            now,
            view,
            started_at: now,
            billed_from: None,
            billed: None,
            last_seen: now,
        }
    }

    fn plan(&self) -> Decision {
        plan(&self.pod, self.view, self.now)
    }

    #[track_caller]
    fn due(&self, command: &str) -> Step {
        match self.plan() {
            Decision::Do(step) => step,
            other => panic!("`{command}`: nothing is due, but {other:?}"),
        }
    }

    #[track_caller]
    fn command(&mut self, command: &str) -> Vec<String> {
        let (verb, how) = command.split_once(' ').unwrap_or((command, ""));
        match verb {
            "order" => self.pod = make::pod(how == "restarting"),
            "at" => self.now = shifted(self.now, how),
            "due" => match self.plan() {
                Decision::Wait { until, .. } => self.now = until,
                other => panic!("`due`, but {other:?}"),
            },
            "suspect" => self.view.suspect = true,
            "lost" => self.view.lost = Some(HostLost { since: self.last_seen, seen: Some(self.last_seen) }),
            "back" => self.view.lost = None,
            "seen" => self.last_seen = self.now,
            "revived" => self.started_at = self.now,
            "delete" => return self.delete(),
            _ => return self.step(command, verb, how),
        }
        Vec::new()
    }

    fn delete(&mut self) -> Vec<String> {
        let pod = &mut self.pod;
        (pod.desired, pod.generation) = (Desired::Gone, pod.generation + 1);
        (pod.next_at, pod.setbacks) = (self.now, 0);
        self.bill(UsageChange::Close { at: self.now }).into_iter().collect()
    }

    #[track_caller]
    fn step(&mut self, command: &str, verb: &str, how: &str) -> Vec<String> {
        let step = self.due(command);
        let due = name(&step);
        let rows_only = matches!(step, Step::NextAttempt | Step::Fail(_) | Step::Release | Step::Finish);
        let fits = if rows_only { verb == "do" } else { due.to_lowercase().ends_with(verb) };
        assert!(fits, "`{command}`, but {due} is due");
        self.view.suspect = false;
        let planned = self.pod.clone();
        // The look before a removal comes before the doubt about it.
        if verb != "remove" || !(how.starts_with("exited") || how == "running") {
            mark_unknown(&mut self.pod, &step, self.now);
        }
        if how == "crash" {
            return Vec::new();
        }
        let learned = if rows_only { Learned::Decided(step) } else { self.answer(&planned, &step, how) };
        let effects = learn(&mut self.pod, learned, self.now);
        self.effects(&effects)
    }

    fn answer(&mut self, planned: &Pod, step: &Step, how: &str) -> Learned {
        let looked = |found: Result<Option<MachineFact>, CallError>| {
            let has_gap = found.as_ref().is_ok_and(|fact| has_gap(planned, fact.as_ref()));
            Learned::Inspected { found, last_seen: Some(self.last_seen), has_gap }
        };
        match step {
            Step::Remove if how.starts_with("exited") || how == "running" => looked(Ok(self.seen(how))),
            Step::Inspect => looked(error(how).map_or_else(|| Ok(self.seen(how)), Err)),
            Step::EnsureImage => Learned::ImageEnsured(error(how).map_or_else(|| Ok(make::image()), Err)),
            Step::Create => Learned::Created(error(how).map_or_else(|| Ok("m".into()), Err)),
            Step::Start => {
                self.started_at = self.now;
                Learned::Started(error(how).map_or_else(|| Ok("m".into()), Err))
            }
            Step::Probe => Learned::Probed(how == "yes"),
            Step::Stop => Learned::Stopped(error(how).map_or(Ok(()), Err)),
            Step::Remove => Learned::Removed(error(how).map_or(Ok(()), Err)),
            other => panic!("{other:?} does not go outside"),
        }
    }

    /// `none`, `created`, `running`, `exited 1`, `oom`; the last two may say when, as in `exited 1 -5s`, or `?`.
    fn seen(&self, how: &str) -> Option<MachineFact> {
        let mut words = how.split(' ');
        let phase = match words.next().unwrap_or_default() {
            "none" => return None,
            "created" => MachinePhase::Created,
            "running" => MachinePhase::Running { started_at: self.started_at },
            kind @ ("exited" | "oom") => {
                let code = if kind == "oom" {
                    137
                } else {
                    words.next().and_then(|code| code.parse().ok()).expect("an exit code")
                };
                let at = match words.next() {
                    Some("?") => None,
                    Some(shift) => Some(shifted(self.now, shift)),
                    None => Some(self.now),
                };
                MachinePhase::Exited { code, oom: kind == "oom", at, started_at: Some(self.started_at) }
            }
            other => panic!("what is `inspect {other}`?"),
        };
        Some(MachineFact { handle: "m".into(), phase, seen_at: self.now })
    }

    fn effects(&mut self, effects: &Effects) -> Vec<String> {
        let mut shown: Vec<String> = effects.events.iter().map(|(kind, _)| (*kind).to_owned()).collect();
        shown.extend(effects.usage.and_then(|usage| self.bill(usage)));
        shown.extend(effects.assign_ports.then(|| "ports".to_owned()));
        shown.extend(effects.release.then(|| "release".to_owned()));
        shown
    }

    /// What the rows make of it: nothing is opened twice, and nothing closed before its start.
    fn bill(&mut self, change: UsageChange) -> Option<String> {
        match (change, self.billed_from) {
            (UsageChange::Open { at, .. }, None) => {
                self.billed_from = Some(at);
                Some("bill+".to_owned())
            }
            (UsageChange::Close { at }, Some(from)) => {
                (self.billed_from, self.billed) = (None, Some((from, at)));
                Some(format!("bill-{}", at.since(from).as_secs_f64()))
            }
            (UsageChange::Cut { at }, None) => {
                let (from, to) = self.billed.filter(|(_, to)| at < *to)?;
                self.billed = Some((from, at));
                Some(format!("cut-{}", to.since(at).as_secs_f64()))
            }
            _ => None,
        }
    }

    fn line(&self, command: &str, effects: &[String]) -> String {
        let (pod, decision) = (&self.pod, self.plan());
        let decision = match decision {
            Decision::Do(step) => name(&step),
            Decision::Wait { until, .. } => format!("Wait {}", until.since(self.now).as_secs_f64()),
            Decision::Settled => "Settled".to_owned(),
            Decision::Blocked(_) => "Blocked".to_owned(),
        };
        let (status, progress, attempt) = (pod.status().as_str(), pod.progress, pod.attempt);
        let line =
            format!("{command:<16} → {decision:<22} {status} {progress}% {attempt}/5 {}", effects.join(" "));
        line.trim_end().to_owned()
    }
}

fn name(step: &Step) -> String {
    match step {
        Step::Fail(failure) => format!("Fail {:?}", failure.code),
        other => format!("{other:?}"),
    }
}

fn error(how: &str) -> Option<CallError> {
    Some(match how {
        "notsent" => make::not_sent(),
        "lost" => make::lost(),
        "missing" => make::refused(FailureCode::ImageNotFound, true),
        "vanished" => make::refused(FailureCode::ImageNotFound, false),
        "stalled" => make::refused(FailureCode::ImagePull, false),
        "port" => make::refused(FailureCode::PortTaken, false),
        "full" => make::refused(FailureCode::DiskFull, false),
        "refused" => make::refused(FailureCode::Engine, false),
        "never" => make::refused(FailureCode::Engine, true),
        _ => return None,
    })
}

fn shifted(now: Timestamp, shift: &str) -> Timestamp {
    let (sign, rest) = shift.split_at(1);
    let (number, unit) = rest.split_at(rest.len() - 1);
    let scale = match unit {
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => panic!("what is `{shift}`?"),
    };
    let millis: i64 = number.parse::<i64>().expect("a number") * scale;
    match sign {
        "+" => now.plus(Duration::from_millis(millis.unsigned_abs())),
        _ => Timestamp::from_millis(now.as_millis() - millis),
    }
}

#[test]
fn doubt_is_written_for_what_changes_the_machine_and_only_for_that() {
    for step in [Step::Create, Step::Start, Step::Stop, Step::Remove] {
        let mut pod = make::pod(false);
        assert!(mark_unknown(&mut pod, &step, make::START));
        assert_eq!(pod.machine, Resource::Unknown { since: make::START }, "{step:?}");
    }
    for step in
        [Step::Inspect, Step::EnsureImage, Step::Probe, Step::NextAttempt, Step::Release, Step::Finish]
    {
        let mut pod = make::pod(false);
        assert!(!mark_unknown(&mut pod, &step, make::START));
        assert_eq!(pod, make::pod(false), "{step:?}");
    }
}
