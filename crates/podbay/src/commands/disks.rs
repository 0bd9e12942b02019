//! `podbay disks`.

use super::teams;
use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::find;
use crate::output::{NONE, Rows, details, dollars, or_none, time};
use clap::{Args, Subcommand};
use podbay_api::availability::DiskAvailability;
use podbay_api::client::{Client, DiskOfferFilter};
use podbay_api::disks::{CreateDisk, Disk, DiskRequest, PatchDisk};
use podbay_api::events::PodEvent;
use podbay_api::pods::{ProviderRef, TeamRef};
use podbay_core::published::ProviderType;
use podbay_core::{DiskId, limits};

/// Order, look at, grow and delete persistent disks
#[derive(Debug, Subcommand)]
pub enum Disks {
    /// Order a disk; `podbay pods create --disk` attaches it
    Create(Create),
    /// List the disks that live
    List,
    /// Show all of one disk
    Get {
        /// Id, beginning of one, or name
        disk: String,
    },
    /// Rename or grow a disk
    Update(Update),
    /// Tell what happened to a disk
    Events {
        /// Id, beginning of one, or name
        disk: String,
        /// Only what came after the event of this number
        #[arg(long, default_value_t = 0, value_name = "NUMBER")]
        after: i64,
    },
    /// Delete disks and everything on them
    Delete {
        /// Ids, beginnings of them, or names
        #[arg(required = true)]
        disks: Vec<String>,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
    /// List where disks can be ordered, and for how much
    Availability,
}

/// Order a disk
#[derive(Debug, Args)]
pub struct Create {
    /// Display name [default: the server makes one up]
    name: Option<String>,
    /// Size in GB
    #[arg(long, value_name = "GB")]
    size: u32,
    /// Team that shall own and pay for it: id, beginning of one, or name
    #[arg(long)]
    team: Option<String>,
}

/// Rename or grow a disk
#[derive(Debug, Args)]
pub struct Update {
    /// Id, beginning of one, or name
    disk: String,
    /// New name
    #[arg(long, required_unless_present = "size")]
    name: Option<String>,
    /// New size in GB, not smaller than the present one
    #[arg(long, value_name = "GB")]
    size: Option<u32>,
}

impl Disks {
    /// Runs it.
    pub async fn run(self, context: &mut Context<'_>) -> Result<()> {
        let client = context.client()?;
        match self {
            Self::Create(create) => {
                let disk = client.disk_create(&create.order(&client).await?).await?;
                context.terminal.say(&format!("ordered disk {} ({})", disk.name, disk.id));
                context.show(&disk, look)
            }
            Self::List => {
                let disks = client.disks_all().await?;
                context.list(&disks, "you have no disks", table)
            }
            Self::Get { disk } => {
                let disk = find_disk(&client, &disk).await?;
                context.show(&disk, look)
            }
            Self::Update(Update { disk, name, size }) => {
                let disk = find_disk(&client, &disk).await?;
                let disk = client.disk_update(&disk.id, &PatchDisk { name, size }).await?;
                context.terminal.say(&format!("changed disk {} ({})", disk.name, disk.id));
                context.show(&disk, look)
            }
            Self::Events { disk, after } => {
                let disk = find_disk(&client, &disk).await?;
                let events: Vec<PodEvent> =
                    client.disk_events(&disk.id, after, limits::PAGE_LIMIT_MAX).await?;
                context.list(&events, "nothing has happened", super::pods::events)
            }
            Self::Delete { disks, yes } => delete(context, &client, &disks, yes).await,
            Self::Availability => {
                let offers = client.disk_offers_all(&DiskOfferFilter::default()).await?;
                context.list(&offers, "no disks are on offer", offer_table)
            }
        }
    }
}

impl Create {
    async fn order(self, client: &Client) -> Result<CreateDisk> {
        let team = match &self.team {
            Some(team) => Some(TeamRef { team_id: teams::find_team_id(client, team).await? }),
            None => None,
        };
        let disk = DiskRequest {
            size: self.size,
            name: self.name,
            country: None,
            cloud_id: None,
            data_center_id: None,
        };
        Ok(CreateDisk { disk, provider: ProviderRef { kind: ProviderType::Primecompute }, team })
    }
}

/// The live disk that `text` means.
pub async fn find_disk(client: &Client, text: &str) -> Result<Disk> {
    let hint = "`podbay disks list` shows them";
    if DiskId::parse(text).is_some() {
        return match client.disk(text).await {
            Err(error) if error.status() == Some(404) => {
                Err(Failure::not_found(format!("there is no disk `{text}`")).hint(hint))
            }
            other => Ok(other?),
        };
    }
    find::one(client.disks_all().await?, text, "disk")
        .map_err(|failure| if failure.code() == 5 { failure.hint(hint) } else { failure })
}

/// Finds all of them before it asks, and asks before it deletes one.
async fn delete(context: &mut Context<'_>, client: &Client, texts: &[String], yes: bool) -> Result<()> {
    let mut disks: Vec<Disk> = Vec::with_capacity(texts.len());
    for text in texts {
        let disk = find_disk(client, text).await?;
        if disks.iter().all(|known| known.id != disk.id) {
            disks.push(disk);
        }
    }
    let names: Vec<String> = disks.iter().map(|disk| format!("{} ({})", disk.name, disk.id)).collect();
    context.agree(yes, &format!("Delete {} and everything on it?", names.join(", ")))?;
    let mut failed = None;
    for (disk, name) in disks.iter().zip(names) {
        match client.disk_delete(&disk.id).await {
            Ok(answer) => context.terminal.say(&format!("disk {name}: {}", answer.status)),
            Err(error) => {
                let failure = Failure::from(error);
                if let Failure::Told { text, .. } = &failure {
                    context.terminal.say(&format!("disk {name}: {text}"));
                }
                failed.get_or_insert(failure);
            }
        }
    }
    failed.map_or(Ok(()), Err)
}

fn price(disk: &Disk) -> String {
    or_none(disk.price_hr.map(dollars))
}

fn table(disks: &[Disk]) -> Rows {
    let mut rows = Rows::new(&["ID", "NAME", "STATUS", "SIZE", "PRICE/H", "PODS", "ORDERED"]);
    for disk in disks {
        rows.push(vec![
            disk.id.clone(),
            disk.name.clone(),
            disk.status.to_string(),
            format!("{} GB", disk.size),
            price(disk),
            disk.pods.len().to_string(),
            time(&disk.created_at),
        ]);
    }
    rows
}

fn look(disk: &Disk) -> String {
    let info = disk.info.clone().unwrap_or_default();
    let held = info.size_held.map(|held| if held { "by the storage driver" } else { "by agreement only" });
    let pods = if disk.pods.is_empty() { NONE.to_owned() } else { disk.pods.join(", ") };
    let mut values = vec![
        ("id", disk.id.clone()),
        ("name", disk.name.clone()),
        ("status", disk.status.to_string()),
        ("size", format!("{} GB", disk.size)),
        ("size held", or_none(held)),
        ("price/h", price(disk)),
        ("pods", pods),
        ("data center", or_none(info.data_center_id)),
        ("country", or_none(info.country)),
        ("team", or_none(disk.team_id.as_ref())),
        ("ordered", time(&disk.created_at)),
        ("changed", time(&disk.updated_at)),
    ];
    if let Some(failure) = info.failure {
        values.push(("failure", failure));
    }
    details(&values)
}

fn offer_table(offers: &[DiskAvailability]) -> Rows {
    let mut rows = Rows::new(&["OFFER", "DATA CENTER", "COUNTRY", "REGION", "SIZES", "PRICE/GB/H", "STOCK"]);
    for offer in offers {
        let sizes = match (offer.spec.min_count, offer.spec.max_count) {
            (Some(min), Some(max)) => format!("{min}–{max} GB"),
            _ => NONE.to_owned(),
        };
        rows.push(vec![
            or_none(offer.cloud_id.as_ref()),
            or_none(offer.data_center.as_ref()),
            or_none(offer.country.as_ref()),
            or_none(offer.region.as_ref()),
            sizes,
            or_none(offer.spec.price_per_unit.map(dollars)),
            offer.stock_status.to_string(),
        ]);
    }
    rows
}
