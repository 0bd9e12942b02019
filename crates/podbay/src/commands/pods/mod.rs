//! `podbay pods`.

mod create;
mod list;
mod look;
mod ssh;

pub use create::env_var;
pub use list::events;

use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::find;
use clap::{Args, Subcommand, ValueEnum};
use podbay_api::client::{Client, HistoryQuery, SortBy, SortOrder};
use podbay_api::pods::Pod;
use podbay_core::{PodId, limits};

/// Order, look at, log in to and delete pods
#[derive(Debug, Subcommand)]
pub enum Pods {
    /// Order a pod
    Create(create::Create),
    /// List the pods that live
    List,
    /// Show all of one pod
    Get {
        /// Id, beginning of one, or name
        pod: String,
    },
    /// Show how far pods are [default: all of them]
    Status {
        /// Ids, beginnings of them, or names
        pods: Vec<String>,
    },
    /// Log in, or run a command; waits until SSH answers
    Ssh(ssh::Ssh),
    /// Show what the pod's first process wrote
    Logs {
        /// Id, beginning of one, or name
        pod: String,
        /// Number of lines, from the end
        #[arg(long, short = 'n', default_value_t = limits::LOG_TAIL_DEFAULT, value_name = "LINES")]
        tail: u32,
        /// Print the lines as they are, control characters included
        #[arg(long)]
        raw: bool,
    },
    /// Tell what happened to a pod
    Events {
        /// Id, beginning of one, or name
        pod: String,
        /// Only what came after the event of this number
        #[arg(long, default_value_t = 0, value_name = "NUMBER")]
        after: i64,
    },
    /// Delete pods and everything on their disks
    Delete {
        /// Ids, beginnings of them, or names
        #[arg(required = true)]
        pods: Vec<String>,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
        /// End pods whose host is lost, without waiting for their machines to be gone (owner only)
        #[arg(long)]
        force: bool,
    },
    /// List pods that have ended, and what they cost
    History(History),
}

/// List pods that have ended
#[derive(Debug, Args)]
pub struct History {
    /// Most rows
    #[arg(long, default_value_t = limits::PAGE_LIMIT_DEFAULT, value_name = "ROWS")]
    limit: u32,
    /// Rows to skip
    #[arg(long, default_value_t = 0, value_name = "ROWS")]
    offset: u64,
    /// Sort by this
    #[arg(long, value_enum, default_value_t = Sort::Terminated)]
    sort_by: Sort,
    /// Earliest first
    #[arg(long)]
    ascending: bool,
}

/// What the history is sorted by.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Sort {
    /// When they ended
    Terminated,
    /// When they were ordered
    Created,
}

impl Pods {
    /// Runs it.
    pub async fn run(self, context: &mut Context<'_>) -> Result<()> {
        let client = context.client()?;
        match self {
            Self::Create(create) => create.run(context).await,
            Self::Ssh(ssh) => ssh.run(context).await,
            Self::List => {
                let pods = client.pods_all().await?;
                context.list(&pods, "you have no pods", list::pods)
            }
            Self::Get { pod } => {
                let pod = find_pod(&client, &pod).await?;
                context.show(&pod, look::pod)
            }
            Self::Status { pods } => {
                let mut ids = Vec::with_capacity(pods.len());
                for text in &pods {
                    ids.push(find_pod(&client, text).await?.id);
                }
                let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
                let rows = client.pod_statuses(&ids).await?;
                context.list(&rows, "you have no pods", list::statuses)
            }
            Self::Logs { pod, tail, raw } => {
                let pod = find_pod(&client, &pod).await?;
                let log = client.pod_log(&pod.id, tail).await?;
                context.show(&log, |log| look::log(log, raw))
            }
            Self::Events { pod, after } => {
                let pod = find_pod(&client, &pod).await?;
                let events = client.pod_events(&pod.id, after, limits::PAGE_LIMIT_MAX).await?;
                context.list(&events, "nothing has happened", list::events)
            }
            Self::Delete { pods, yes, force } => delete(context, &client, &pods, yes, force).await,
            Self::History(history) => {
                let page = client.pod_history(&history.query()).await?;
                context.list(&page.data, "no pod of yours has ended", list::history)
            }
        }
    }
}

impl History {
    fn query(&self) -> HistoryQuery {
        HistoryQuery {
            sort_by: match self.sort_by {
                Sort::Terminated => SortBy::TerminatedAt,
                Sort::Created => SortBy::CreatedAt,
            },
            sort_order: if self.ascending { SortOrder::Ascending } else { SortOrder::Descending },
            offset: self.offset,
            limit: self.limit,
        }
    }
}

/// The live pod that `text` means.
async fn find_pod(client: &Client, text: &str) -> Result<Pod> {
    if PodId::parse(text).is_some() {
        return match client.pod(text).await {
            Err(error) if error.status() == Some(404) => Err(Failure::not_found(format!(
                "there is no pod `{text}`"
            ))
            .hint("`podbay pods list` shows those that live, `podbay pods history` those that have ended")),
            other => Ok(other?),
        };
    }
    find::one(client.pods_all().await?, text, "pod").map_err(|failure| {
        if failure.code() == 5 { failure.hint("`podbay pods list` shows them") } else { failure }
    })
}

/// A pod that is to go.
struct Meant {
    id: String,
    name: String,
}

/// Finds all of them before it asks, and asks before it deletes one.
async fn delete(
    context: &mut Context<'_>,
    client: &Client,
    texts: &[String],
    yes: bool,
    force: bool,
) -> Result<()> {
    let mut pods: Vec<Meant> = Vec::with_capacity(texts.len());
    for text in texts {
        let pod = match find_pod(client, text).await {
            Ok(pod) => Meant { id: pod.id, name: pod.name },
            // The owner of the installation may end anybody's, and need not see it.
            Err(failure) if force && failure.code() == 5 && PodId::parse(text).is_some() => {
                Meant { id: text.clone(), name: "somebody's".to_owned() }
            }
            Err(failure) => return Err(failure),
        };
        if pods.iter().all(|known| known.id != pod.id) {
            pods.push(pod);
        }
    }
    let names: Vec<String> = pods.iter().map(|pod| format!("{} ({})", pod.name, pod.id)).collect();
    context.agree(yes, &format!("Delete {} and everything on the disk?", names.join(", ")))?;
    let mut deleted = Vec::with_capacity(pods.len());
    let mut failed = None;
    for pod in &pods {
        let done =
            if force { client.pod_end_by_force(&pod.id).await } else { client.pod_delete(&pod.id).await };
        match done {
            Ok(answer) => deleted.push((pod, answer)),
            Err(error) => {
                let failure = Failure::from(error);
                if let Failure::Told { text, .. } = &failure {
                    context.terminal.say(&format!("{} ({}): {text}", pod.name, pod.id));
                }
                failed.get_or_insert(failure);
            }
        }
    }
    if !deleted.is_empty() {
        let rows: Vec<list::Deletion> =
            deleted.into_iter().map(|(pod, answer)| list::Deletion::of(&pod.id, &pod.name, answer)).collect();
        context.list(&rows, "", list::deletions)?;
    }
    failed.map_or(Ok(()), Err)
}
