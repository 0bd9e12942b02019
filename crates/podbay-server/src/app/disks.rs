//! Persistent disks: ordered, renamed, grown, deleted, and attached by the create of a pod.

use super::error::wrong_value;
use super::offers::{self, Near};
use super::{Actor, App, Error, sharing, wallet};
use podbay_api::disks::{CreateDisk, PatchDisk};
use podbay_core::disk::{Attachment, Desired, Disk, mount_path};
use podbay_core::place::CpuSize;
use podbay_core::pod::{Pod, Resource};
use podbay_core::published::{PodStatus, ProviderType};
use podbay_core::usage::UsageState;
use podbay_core::{DiskId, HostId, PodId, Subject, TeamId, Timestamp, UserId};
use podbay_store::{Event, HostState, Page, Tx};
use std::collections::HashMap;

/// The one offer of disks.
pub const CLOUD_ID: &str = "disk";

/// A disk and the pods that have it.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The disk.
    pub disk: Disk,
    /// Pods that it is attached to.
    pub pods: Vec<PodId>,
}

/// A disk at a pod, as the pod shows it.
#[derive(Clone, Debug)]
pub struct Attached {
    /// Disk, pod and place.
    pub attachment: Attachment,
    /// Size of the disk in GB.
    pub size_gb: u32,
    /// Whether other pods have it, too.
    pub is_shared: bool,
}

/// Orders a disk.
///
/// # Errors
/// [`Error::Invalid`] for what does not match the offer, and for a team that is none;
/// [`Error::PaymentRequired`]; [`Error::Conflict`] when there is no room.
pub async fn disk_create(app: &App, actor: &Actor, order: CreateDisk) -> Result<Shown, Error> {
    let team_id = check(app, &order)?;
    let prepaid = app.config.billing.prepaid;
    let now = app.now();
    let id = app.chance.disk_id(now);
    let made_up = || format!("disk-{}", &id.as_str()[24..]);
    let mut disk = Disk {
        user_id: actor.user.clone(),
        team_id,
        // Where it is in the end is found out in the transaction that takes the place.
        host_id: app.hosts.first()?.id.clone(),
        name: order.disk.name.unwrap_or_else(made_up),
        size_gb: order.disk.size,
        price_gb: app.config.price_disk_gb(),
        desired: Desired::Present,
        generation: 1,
        volume: Resource::Absent,
        failure: None,
        ready_at: None,
        setbacks: 0,
        next_at: now,
        version: 1,
        created_at: now,
        updated_at: now,
        terminated_at: None,
        id,
    };
    let known: Vec<HostId> = app.hosts.iter().map(|host| host.id.clone()).collect();
    let created = app.write_once(actor, move |tx| {
        Box::pin(async move {
            if let Some(team) = &disk.team_id {
                sharing::admit_member(tx, team, &disk.user_id).await?;
            }
            wallet::afford(tx, prepaid, &disk.owner(), now).await?;
            disk.host_id = place(tx, &disk, &known, now).await?;
            tx.disk_insert(&disk).await?;
            let text = format!("{}, {} GB", disk.name, disk.size_gb);
            tx.disk_event_insert(&disk.id, now, "disk.created", &text).await?;
            Ok::<_, Error>(Shown { disk, pods: Vec::new() })
        })
    });
    let shown = created.await?;
    app.driver.wake(&shown.disk.id);
    Ok(shown)
}

/// Whether the order matches the offer; the team that it names.
fn check(app: &App, order: &CreateDisk) -> Result<Option<TeamId>, Error> {
    let (disk, place, most) = (&order.disk, &app.config.place, app.config.disks.size_max_gb);
    let mut errors = Vec::new();
    let mut wrong = |path: &str, text: String| errors.push(wrong_value(path, text));
    if order.provider.kind != ProviderType::Primecompute {
        wrong("body.provider.type", format!("the offer's provider is {}", ProviderType::Primecompute));
    }
    if disk.size > most {
        wrong("body.disk.size", format!("must be at most {most} GB"));
    }
    if disk.cloud_id.as_deref().is_some_and(|id| id != CLOUD_ID) {
        wrong("body.disk.cloudId", "no such offer; GET /api/v1/availability/disks lists them".into());
    }
    let differs = |asked: &Option<String>, ours: &Option<String>| asked.is_some() && asked != ours;
    if differs(&disk.data_center_id, &place.data_center) {
        let ours = place.data_center.as_deref().unwrap_or("none");
        wrong("body.disk.dataCenterId", format!("the offer is in {ours}"));
    }
    if differs(&disk.country, &place.country) {
        let ours = place.country.as_deref().unwrap_or("none that is named");
        wrong("body.disk.country", format!("the offer is in {ours}"));
    }
    match sharing::named(order.team.as_ref()) {
        Ok(team) if errors.is_empty() => Ok(team),
        team => {
            errors.extend(team.err());
            Err(Error::Invalid(errors))
        }
    }
}

/// Takes the place of a new disk where most is left, because the pods that will have it must go there, too.
async fn place(tx: &mut Tx, disk: &Disk, known: &[HostId], now: Timestamp) -> Result<HostId, Error> {
    let size = CpuSize { vcpus: 0, memory_gb: 0, disk_gb: disk.size_gb };
    for host in offers::candidates(tx, known, &Near::Anywhere, &size, None).await?.into_iter().rev() {
        if tx.placement_take(&host, &disk.id, &size, None, now).await?.is_some() {
            return Ok(host);
        }
    }
    let mut hosts = tx.host_states().await?;
    hosts.retain(|host| known.contains(&host.id));
    Err(no_capacity(&hosts, disk.size_gb))
}

fn no_capacity(hosts: &[HostState], more_gb: u32) -> Error {
    let what = format!("{more_gb} GB of disk");
    match offers::open(hosts).map(|(_, free)| free.disk_gb).max() {
        Some(free) => Error::Conflict(format!("no capacity for {what} now; free are {free} GB")),
        None => offers::no_capacity(&what, hosts),
    }
}

/// The live disks that the caller sees, newest first: personal ones, and those of the caller's teams.
///
/// # Errors
/// The database does not answer.
pub async fn disk_list(app: &App, actor: &Actor, offset: u64, limit: u64) -> Result<Page<Shown>, Error> {
    let user = actor.user.clone();
    let read = app.store.snapshot(move |tx| {
        Box::pin(async move {
            let page = tx.disk_list_live(&user, offset, limit).await?;
            let ids: Vec<DiskId> = page.items.iter().map(|disk| disk.id.clone()).collect();
            let mut pods: HashMap<DiskId, Vec<PodId>> = HashMap::new();
            for attachment in tx.attachments_of_disks(&ids).await? {
                pods.entry(attachment.disk_id).or_default().push(attachment.pod_id);
            }
            let shown = page.items.into_iter();
            let shown = shown.map(|disk| Shown { pods: pods.remove(&disk.id).unwrap_or_default(), disk });
            Ok(Page { items: shown.collect(), total: page.total })
        })
    });
    read.await
}

/// One live disk that the caller sees.
///
/// # Errors
/// [`Error::NotFound`], also for somebody else's and for one that is gone.
pub async fn disk_get(app: &App, actor: &Actor, id: &str) -> Result<Shown, Error> {
    let mut tx = app.store.reader().await?;
    let disk = seen(&mut tx, &actor.user, id).await?;
    shown(&mut tx, disk).await
}

async fn shown(tx: &mut Tx, disk: Disk) -> Result<Shown, Error> {
    let attachments = tx.attachments_of_disks(std::slice::from_ref(&disk.id)).await?;
    Ok(Shown { disk, pods: attachments.into_iter().map(|attachment| attachment.pod_id).collect() })
}

async fn seen(tx: &mut Tx, user: &UserId, id: &str) -> Result<Disk, Error> {
    let id = DiskId::parse(id).ok_or(Error::NotFound)?;
    let disk = tx.disk_get_seen(user, &id).await?;
    disk.filter(|disk| disk.terminated_at.is_none()).ok_or(Error::NotFound)
}

/// Holds the disk of that id for the transaction, and reads it.
async fn locked(tx: &mut Tx, user: &UserId, id: &str) -> Result<Disk, Error> {
    tx.disk_lock(&DiskId::parse(id).ok_or(Error::NotFound)?).await?;
    seen(tx, user, id).await
}

/// Renames a disk, or grows it: what it holds of the host and its price change at once. Every member renames
/// a team's disk; what it costs the team is for the one who made it and for ADMINs to say.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Denied`]; [`Error::PaymentRequired`]; [`Error::Invalid`] for a smaller size;
/// [`Error::Conflict`] for one that does not fit, or that the engine cannot give.
pub async fn disk_update(app: &App, actor: &Actor, id: &str, change: PatchDisk) -> Result<Shown, Error> {
    let (user, now, id, most) = (actor.user.clone(), app.now(), id.to_owned(), app.config.disks.size_max_gb);
    let prepaid = app.config.billing.prepaid;
    let updated = app.store.write(move |tx| {
        Box::pin(async move {
            let mut disk = locked(tx, &user, &id).await?;
            if disk.desired == Desired::Gone {
                return Err(Error::Conflict("this disk is being deleted".into()));
            }
            if let Some(size) = change.size {
                sharing::may(tx, "grow", &disk.owner(), &disk.user_id, &user).await?;
                wallet::afford(tx, prepaid, &disk.owner(), now).await?;
                grow(tx, &mut disk, size, most, now).await?;
            }
            if let Some(name) = change.name {
                disk.name = name;
            }
            tx.disk_set(&disk.id, &disk.name, disk.size_gb, now).await?;
            disk.updated_at = now;
            shown(tx, disk).await
        })
    });
    updated.await
}

async fn grow(tx: &mut Tx, disk: &mut Disk, size_gb: u32, most: u32, now: Timestamp) -> Result<(), Error> {
    let before = disk.size_gb;
    let Some(more_gb) = size_gb.checked_sub(before) else {
        let text = format!("a disk cannot shrink; this one has {before} GB");
        return Err(Error::field("body.size", text));
    };
    if size_gb > most {
        return Err(Error::field("body.size", format!("must be at most {most} GB")));
    }
    if more_gb == 0 {
        return Ok(());
    }
    if disk.status() != PodStatus::Active {
        return Err(Error::Conflict(format!(
            "this disk is {}; it can be grown once it is ACTIVE",
            disk.status()
        )));
    }
    if disk.held_gb().is_some() {
        let text = format!(
            "the container engine holds this disk to its {before} GB and cannot change that; \
             create a larger disk and copy what is on this one"
        );
        return Err(Error::Conflict(text));
    }
    if !tx.placement_grow(&disk.id, more_gb, now).await? {
        let mut hosts = tx.host_states().await?;
        hosts.retain(|host| host.id == disk.host_id);
        return Err(no_capacity(&hosts, more_gb));
    }
    disk.size_gb = size_gb;
    tx.usage_close(&disk.id, now).await?;
    tx.usage_open(&disk.id, UsageState::Running, disk.price(), now).await?;
    let text = format!("from {before} to {size_gb} GB");
    tx.disk_event_insert(&disk.id, now, "disk.grown", &text).await?;
    Ok(())
}

/// Deletes a disk and everything on it: its bill ends now, its volume as soon as it can. Waits a
/// moment for the volume to be gone, and answers whether it is.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Denied`] for a team's disk that somebody else made, but to an ADMIN
/// of the team; [`Error::Conflict`] while pods have it.
pub async fn disk_delete(app: &App, actor: &Actor, id: &str) -> Result<bool, Error> {
    let ended = app.ended.subscribe();
    let (user, now, id) = (actor.user.clone(), app.now(), id.to_owned());
    let deleted = app.store.write(move |tx| {
        Box::pin(async move {
            let disk = locked(tx, &user, &id).await?;
            sharing::may(tx, "delete", &disk.owner(), &disk.user_id, &user).await?;
            let Shown { disk, pods } = shown(tx, disk).await?;
            if !pods.is_empty() {
                let pods: Vec<&str> = pods.iter().map(PodId::as_str).collect();
                let text = format!("this disk is attached to {}; delete these pods first", pods.join(", "));
                return Err(Error::Conflict(text));
            }
            if tx.disk_set_gone(&disk.id, now).await? {
                tx.usage_close(&disk.id, now).await?;
                let name = tx.user_get(&user).await?.map_or_else(|| user.to_string(), |user| user.name);
                let text = format!("{name} deleted the disk");
                tx.disk_event_insert(&disk.id, now, "disk.delete_requested", &text).await?;
            }
            Ok::<_, Error>(disk.id)
        })
    });
    let id = deleted.await?;
    let subject = Subject::Disk(id);
    app.changed(subject.clone());
    Ok(app.wait_end(ended, &subject).await)
}

/// What happened to a disk, oldest first; also to one that is gone.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn disk_events(
    app: &App,
    actor: &Actor,
    id: &str,
    after: i64,
    limit: u64,
) -> Result<Vec<Event>, Error> {
    let id = DiskId::parse(id).ok_or(Error::NotFound)?;
    let mut tx = app.store.reader().await?;
    tx.disk_get_seen(&actor.user, &id).await?.ok_or(Error::NotFound)?;
    Ok(tx.event_list(&id, after, limit).await?)
}

/// Where all of these disks are.
///
/// # Errors
/// The database does not answer.
pub async fn near(app: &App, actor: &Actor, ids: &[String]) -> Result<Near, Error> {
    let (mut tx, mut near) = (app.store.reader().await?, Near::Anywhere);
    for id in ids {
        near = match seen(&mut tx, &actor.user, id).await {
            Ok(disk) if near == Near::Anywhere || near == Near::On(disk.host_id.clone()) => {
                Near::On(disk.host_id)
            }
            Ok(_) | Err(Error::NotFound) => return Ok(Near::Nowhere),
            Err(error) => return Err(error),
        };
    }
    Ok(near)
}

/// Attaches the disks of an order to its pod, in the transaction that stores the pod; where the pod must be for it.
///
/// # Errors
/// [`Error::Invalid`] for what is no disk that the caller sees, is named twice or is on another host than the
/// disks before it; [`Error::Conflict`] for a disk that is not ACTIVE.
pub(super) async fn attach(tx: &mut Tx, pod: &Pod, ids: &[String]) -> Result<Near, Error> {
    let mut near = Near::Anywhere;
    let wrong = |place: usize, text: &str| Error::field(&format!("body.disks.{place}"), text);
    let mut sorted: Vec<DiskId> = ids.iter().filter_map(|id| DiskId::parse(id)).collect();
    sorted.sort();
    for id in &sorted {
        tx.disk_lock(id).await?;
    }
    for (place, id) in ids.iter().enumerate() {
        if ids[..place].contains(id) {
            return Err(wrong(place, "this disk is named twice"));
        }
        let disk = match seen(tx, &pod.user_id, id).await {
            Err(Error::NotFound) => return Err(wrong(place, "no such disk in this account")),
            other => other?,
        };
        if near != Near::Anywhere && near != Near::On(disk.host_id.clone()) {
            return Err(wrong(place, "this disk is on another host than the one before it"));
        }
        near = Near::On(disk.host_id.clone());
        if disk.status() != PodStatus::Active {
            let status = disk.status();
            return Err(Error::Conflict(format!(
                "the disk {id} is {status}; only ACTIVE disks can be attached"
            )));
        }
        let mount_path = mount_path(place);
        let attachment = Attachment { disk_id: disk.id, pod_id: pod.id.clone(), mount_path };
        tx.attachment_insert(&attachment, place).await?;
    }
    Ok(near)
}

/// The disks of a pod, under its id.
///
/// # Errors
/// The database does not answer.
pub async fn attached(app: &App, pod: &Pod) -> Result<HashMap<PodId, Vec<Attached>>, Error> {
    attached_in(&mut app.store.reader().await?, std::slice::from_ref(pod)).await
}

/// Those of some pods, as the transaction sees them.
pub(super) async fn attached_in(tx: &mut Tx, pods: &[Pod]) -> Result<HashMap<PodId, Vec<Attached>>, Error> {
    let ids: Vec<PodId> = pods.iter().map(|pod| pod.id.clone()).collect();
    let attachments = tx.attachments_of_pods(&ids).await?;
    let mut disks: Vec<DiskId> = attachments.iter().map(|attachment| attachment.disk_id.clone()).collect();
    disks.sort();
    disks.dedup();
    let sizes = tx.disk_sizes(&disks).await?;
    let mut users: HashMap<DiskId, usize> = HashMap::new();
    for attachment in tx.attachments_of_disks(&disks).await? {
        *users.entry(attachment.disk_id).or_default() += 1;
    }
    let mut found: HashMap<PodId, Vec<Attached>> = HashMap::new();
    for attachment in attachments {
        let size_gb = sizes.get(&attachment.disk_id).copied().unwrap_or_default();
        let is_shared = users.get(&attachment.disk_id).is_some_and(|users| *users > 1);
        let pod = attachment.pod_id.clone();
        found.entry(pod).or_default().push(Attached { attachment, size_gb, is_shared });
    }
    Ok(found)
}
