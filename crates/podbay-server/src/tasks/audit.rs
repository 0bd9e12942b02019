//! The auditor: compares rows, engine and usage, both ways, by the same invariants that the simulator
//! holds the server to (`podbay_core::audit`). It only tells; repairs are the reconciler's own steps.

use crate::app::{App, Error, Host};
use crate::reconcile::Lease;
use futures_util::future::join_all;
use podbay_core::audit::{self, Finding, Sight};
use podbay_core::{HostId, Timestamp, limits};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What earlier audits have seen.
#[derive(Default)]
pub struct Memory {
    /// Differences between rows and engine that one look has found: they may be on their way.
    suspected: BTreeMap<HostId, BTreeSet<Finding>>,
    /// What two looks in a row have found. It stands until the host can be looked at again.
    confirmed: BTreeMap<HostId, BTreeSet<Finding>>,
    /// What stands in the events, and has not been told to be over.
    told: BTreeSet<Finding>,
    audits: u64,
    last: Option<Audit>,
}

impl Memory {
    /// The last audit, if it is young enough to answer one who asks for an audit now.
    fn recent(&self, now: Timestamp) -> Option<&Audit> {
        // The clock may have jumped back: how old is it then?
        self.last.as_ref().filter(|last| last.at <= now && now.since(last.at) < limits::AUDIT_KEPT)
    }

    /// What the last audit has found.
    pub fn told(&self) -> &BTreeSet<Finding> {
        &self.told
    }

    /// How many audits there were.
    pub fn count(&self) -> u64 {
        self.audits
    }
}

/// What an audit found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    /// When.
    pub at: Timestamp,
    /// Invariants that do not hold.
    pub findings: BTreeSet<Finding>,
    /// How many audits there were since the server's start, this one included.
    pub count: u64,
    /// Why an engine could not be looked at; then only the rows were judged.
    pub trouble: Option<String>,
}

/// Audits once, and tells in the events what is new and what is over.
///
/// # Errors
/// The rows cannot be read, or the events not be written.
pub async fn audit(app: &App) -> Result<Audit, Error> {
    let _turn = app.audit_turn.lock().await;
    audit_in_turn(app).await
}

/// An audit that is hardly older than the question; whoever asks while one is made gets that one. When it
/// has lived half of its time the next is made already, so that those who ask all the time never wait.
///
/// # Errors
/// As [`audit`].
pub async fn recent(app: &Arc<App>) -> Result<Audit, Error> {
    if let Some(last) = last(app) {
        if app.now().since(last.at) >= limits::AUDIT_KEPT / 2
            && let Ok(turn) = app.audit_turn.clone().try_lock_owned()
        {
            let app = app.clone();
            tokio::spawn(async move {
                let _turn = turn;
                if let Err(error) = audit_in_turn(&app).await {
                    tracing::warn!(cause = ?error, "audit");
                }
            });
        }
        return Ok(last);
    }
    let _turn = app.audit_turn.lock().await;
    match last(app) {
        Some(last) => Ok(last),
        None => audit_in_turn(app).await,
    }
}

fn last(app: &App) -> Option<Audit> {
    let memory = app.audit.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    memory.recent(app.now()).cloned()
}

async fn audit_in_turn(app: &App) -> Result<Audit, Error> {
    // The engines before the rows: a machine that is seen has its row by then.
    let sights = join_all(app.hosts.iter().map(|host| async { (&host.id, sight(host).await) })).await;
    let at = app.now();
    let books = app.store.snapshot(|tx| Box::pin(tx.books())).await?;
    let mut findings: BTreeSet<Finding> = audit::books(&books).into_iter().collect();
    findings.extend(audit::deadlines(&books, at));
    let mut trouble: Option<String> = None;
    let mut seen: BTreeMap<HostId, BTreeSet<Finding>> = BTreeMap::new();
    for (host, sight) in sights {
        match sight {
            Ok(sight) => {
                seen.insert(host.clone(), audit::between(&books, host, &sight).into_iter().collect());
            }
            Err(error) => {
                let error = if app.hosts.are_several() { format!("{host}: {error}") } else { error };
                trouble = Some(trouble.map_or(error.clone(), |before| format!("{before}; {error}")));
            }
        }
    }
    let (new, over, count) = {
        let mut memory = app.audit.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for (host, seen) in seen {
            let before = memory.suspected.insert(host.clone(), seen.clone()).unwrap_or_default();
            memory.confirmed.insert(host, seen.intersection(&before).cloned().collect());
        }
        findings.extend(memory.confirmed.values().flatten().cloned());
        memory.audits += 1;
        let new: Vec<Finding> = findings.difference(&memory.told).cloned().collect();
        let over: Vec<Finding> = memory.told.difference(&findings).cloned().collect();
        memory.told.clone_from(&findings);
        (new, over, memory.audits)
    };
    tell(app, at, new, over).await?;
    let audit = Audit { at, findings, count, trouble };
    app.audit.lock().unwrap_or_else(std::sync::PoisonError::into_inner).last = Some(audit.clone());
    Ok(audit)
}

async fn sight(host: &Host) -> Result<Sight, String> {
    let machines = host.provider.machine_list().await.map_err(|error| error.to_string())?;
    let volumes = host.provider.volume_list().await.map_err(|error| error.to_string())?;
    Ok(Sight {
        machines: machines.into_iter().map(|machine| (machine.name, machine.fact.phase)).collect(),
        volumes: volumes.into_iter().map(|volume| volume.name).collect(),
    })
}

async fn tell(app: &App, at: Timestamp, new: Vec<Finding>, over: Vec<Finding>) -> Result<(), Error> {
    if new.is_empty() && over.is_empty() {
        return Ok(());
    }
    for finding in &new {
        tracing::error!(invariant = finding.invariant, of = finding.of, finding.text, "audit");
    }
    let me = app.lease.as_ref().map(Lease::server);
    let written = app.store.write(move |tx| {
        Box::pin(async move {
            // Of several servers, all of which audit, the eldest tells.
            if let Some(me) = me
                && tx.server_list().await?.first().map(|eldest| &eldest.id) != me.as_ref()
            {
                return Ok(());
            }
            let new = new.iter().map(|finding| ("audit.finding", finding));
            for (kind, finding) in new.chain(over.iter().map(|finding| ("audit.resolved", finding))) {
                let text = format!("{} {}: {}", finding.invariant, finding.of, finding.text);
                tx.event_insert(None, at, kind, &text).await?;
            }
            Ok::<_, Error>(())
        })
    });
    written.await
}

/// Audits for ever.
pub async fn run(app: Arc<App>) {
    loop {
        tokio::time::sleep(limits::AUDIT_EVERY).await;
        match audit(&app).await {
            Ok(Audit { trouble: Some(trouble), .. }) => tracing::warn!(trouble, "audit"),
            Ok(_) => {}
            Err(error) => tracing::warn!(cause = ?error, "audit"),
        }
    }
}
