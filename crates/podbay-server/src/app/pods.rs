//! Pods: ordered, listed, deleted. A create only writes rows; the reconciler makes them true.

use super::error::wrong_value;
use super::offers::{Near, Stocked, candidates, no_capacity, offers};
use super::{Actor, App, Error, disks, jupyter, sharing, templates, wallet};
use podbay_api::FieldError;
use podbay_api::pods::{CreatePod, PodRequest};
use podbay_core::place::Terms;
use podbay_core::pod::{
    Desired, FromTemplate, JUPYTER_PORT, NamedPort, Placement, Pod, PodSpec, PortSpec, PublishedPort,
    Resource, SSH_PORT,
};
use podbay_core::published::{ImageName, Protocol, ProviderType, UsedBy};
use podbay_core::template::{Template, merge_env};
use podbay_core::usage::{Total, total};
use podbay_core::{HostId, PodId, SshKeyId, Subject, Timestamp, UserId, limits};
use podbay_provider::Logs;
use podbay_store::{Event, HistorySort, Page, PodMark, Tx};
use std::collections::HashMap;

/// Pods that are read where the call is; more are read beside, which takes two ways between threads.
const FEW: usize = 16;

/// A pod that was just ordered, and its disks.
#[derive(Clone, Debug)]
pub struct Ordered {
    /// The pod.
    pub pod: Pod,
    /// Its disks, under its id.
    pub attached: HashMap<PodId, Vec<disks::Attached>>,
}

/// Orders a pod.
///
/// # Errors
/// [`Error::Invalid`] for what does not match an offer, and for a team or members that are none;
/// [`Error::PaymentRequired`]; [`Error::Conflict`] when nothing is free or the price is above
/// `max_price`.
pub async fn pod_create(app: &App, actor: &Actor, order: CreatePod) -> Result<Ordered, Error> {
    let disk_ids = order.disks.clone().unwrap_or_default();
    // What is wrong with the disks is told by the transaction that attaches them.
    let near = match disks::near(app, actor, &disk_ids).await? {
        Near::Nowhere => Near::Anywhere,
        near => near,
    };
    let (stocked, terms, hosts) = offers(app, &near).await?;
    let chosen = stocked.into_iter().find(|stocked| stocked.offer.cloud_id == order.pod.cloud_id);
    let chosen = chosen.ok_or_else(|| {
        Error::field("body.pod.cloudId", "no such offer; GET /api/v1/availability/gpus lists them")
    })?;
    let template = template(app, actor, &order.pod).await?;
    let mut spec = specify(app, &order, &chosen, &terms, template)?;
    if let Some(password) = &order.pod.jupyter_password {
        spec.jupyter = Some(jupyter::hash(app, password).await?);
    }
    let only_key = ssh_key(app, actor, order.pod.ssh_key_id.as_deref()).await?;
    if chosen.fits == 0 {
        return Err(no_capacity(&order.pod.cloud_id, &hosts));
    }
    let now = app.now();
    let id = app.chance.pod_id(now);
    let (team_id, sharing) = sharing::asked(&order)?;
    let made = Pod::new(id.clone(), actor.user.clone(), named(spec, &id), empty_placement(app)?, now);
    let pod = Pod { team_id, ..made };
    let (ports, prepaid) = (app.config.ports, app.config.billing.prepaid);
    let start = app.chance.port(ports.first, ports.last);
    let known: Vec<HostId> = hosts.into_iter().map(|host| host.id).collect();
    let created = app.write_once(actor, move |tx| {
        Box::pin(async move {
            sharing::admit(tx, &pod, &sharing).await?;
            wallet::afford(tx, prepaid, &pod.owner(), now).await?;
            // What a disk is locked for must not wait for the host's row.
            let near = disks::attach(tx, &pod, &disk_ids).await?;
            let pod = place(tx, pod, &chosen, &known, &near, now).await?;
            let pod = insert(tx, pod, ports.first..=ports.last, start, now).await?;
            sharing::share(tx, &pod, &sharing, now).await?;
            if let Some(key) = only_key {
                tx.pod_choose_ssh_key(&pod.id, &key).await?;
            }
            let attached = disks::attached_in(tx, std::slice::from_ref(&pod)).await?;
            Ok::<_, Error>(Ordered { pod, attached })
        })
    });
    let ordered = created.await?;
    app.driver.wake(&ordered.pod.id);
    Ok(ordered)
}

/// The key of the caller's that an order names.
async fn ssh_key(app: &App, actor: &Actor, id: Option<&str>) -> Result<Option<SshKeyId>, Error> {
    let Some(id) = id else { return Ok(None) };
    let unknown = || Error::field("body.pod.sshKeyId", "no such SSH key in this account");
    let id = SshKeyId::parse(id).ok_or_else(unknown)?;
    app.store.reader().await?.ssh_key_get(&actor.user, &id).await?.ok_or_else(unknown)?;
    Ok(Some(id))
}

/// Where it is in the end is found out in the transaction that takes the place.
fn empty_placement(app: &App) -> Result<Placement, Error> {
    Ok(Placement { host: app.hosts.first()?.id.clone(), gpus: Vec::new(), ports: Vec::new() })
}

fn named(mut spec: PodSpec, id: &PodId) -> PodSpec {
    if spec.name.is_empty() {
        // The tail of the id: its head is the time, which pods made together share.
        spec.name = format!("pod-{}", &id.as_str()[24..]);
    }
    spec
}

/// The template that an order names: the caller's own, with credentials that still are there.
async fn template(app: &App, actor: &Actor, order: &PodRequest) -> Result<Option<Template>, Error> {
    const FIELD: &str = "body.pod.customTemplateId";
    let custom = order.image.map(|image| image == ImageName::CustomTemplate);
    let id = match (&order.custom_template_id, custom) {
        (Some(_), Some(false)) => {
            return Err(Error::field(FIELD, "goes with the image custom_template, or with none"));
        }
        (None, Some(true)) => {
            let text = "field required with the image custom_template; GET /api/v1/templates lists yours";
            return Err(Error::field(FIELD, text));
        }
        (None, _) => return Ok(None),
        (Some(id), _) => id,
    };
    let mut tx = app.store.reader().await?;
    let template = match templates::owned(&mut tx, &actor.user, id).await {
        Err(Error::NotFound) => return Err(Error::field(FIELD, "no such template in this account")),
        other => other?,
    };
    if let Some(credentials) = &template.credentials
        && tx.credentials_get(&actor.user, credentials).await?.is_none()
    {
        let text = "the template's registry credentials were deleted; change the template first";
        return Err(Error::field(FIELD, text));
    }
    Ok(Some(template))
}

/// The order as a complete specification, or everything that is wrong with it.
fn specify(
    app: &App,
    order: &CreatePod,
    chosen: &Stocked,
    terms: &Terms,
    template: Option<Template>,
) -> Result<PodSpec, Error> {
    let offer = &chosen.offer;
    let mut errors = mismatches(order, chosen, terms);
    let (image, reference) = match &template {
        Some(template) => (Some(ImageName::CustomTemplate), Some(&template.image)),
        None => {
            let image = order.pod.image.or_else(|| default_image(terms));
            (image, image.and_then(|image| app.config.images.get(&image)))
        }
    };
    if reference.is_none() {
        let offered: Vec<_> = terms.images.iter().map(|image| image.as_str()).collect();
        let text = format!("this image is not offered here; offered are: {}", offered.join(", "));
        errors.push(wrong_value("body.pod.image", text));
    }
    let (Some(image), Some(reference), true) = (image, reference, errors.is_empty()) else {
        return Err(Error::Invalid(errors));
    };
    if order.pod.max_price.is_some_and(|ceiling| ceiling > 0.0 && ceiling < offer.price.dollars()) {
        let (price, ceiling) = (offer.price.dollars(), order.pod.max_price.unwrap_or_default());
        return Err(Error::Conflict(format!("the price is {price} USD per hour, above maxPrice {ceiling}")));
    }
    let env: Vec<_> = order.pod.env_vars.iter().map(|var| (var.key.clone(), var.value.clone())).collect();
    let from_template = template.as_ref().map_or(&[][..], |template| &template.env);
    Ok(PodSpec {
        name: order.pod.name.clone().unwrap_or_default(),
        cloud_id: offer.cloud_id.clone(),
        gpu_type: offer.gpu_type,
        gpu_count: offer.gpu_count,
        socket: offer.socket,
        image,
        image_reference: reference.clone(),
        vcpus: offer.size.vcpus,
        memory_gb: offer.size.memory_gb,
        disk_gb: order.pod.disk_size.map_or(offer.size.disk_gb, |disk| disk.min(offer.size.disk_gb)),
        env: merge_env(from_template, &env),
        price: offer.price,
        security: terms.security,
        country: terms.country.clone(),
        data_center: terms.data_center.clone(),
        auto_restart: order.pod.auto_restart.unwrap_or(false),
        ports: named_ports(order, template.as_ref()),
        template: template.map(|template| FromTemplate {
            id: template.id,
            command: template.command,
            credentials: template.credentials,
        }),
        jupyter: None,
    })
}

/// The published default where it is offered, else the first that is.
fn default_image(terms: &Terms) -> Option<ImageName> {
    let published = ImageName::Ubuntu22Cuda12;
    if terms.images.contains(&published) { Some(published) } else { terms.images.first().copied() }
}

/// Jupyter's port, which is not to be crowded out, and the template's.
fn named_ports(order: &CreatePod, template: Option<&Template>) -> Vec<NamedPort> {
    let port = PortSpec { number: JUPYTER_PORT, protocol: Protocol::Tcp };
    let jupyter = NamedPort { port, used_by: Some(UsedBy::JupyterNotebook), description: None };
    let jupyter = order.pod.jupyter_password.is_some().then_some(jupyter);
    jupyter.into_iter().chain(template.into_iter().flat_map(|template| template.ports.clone())).collect()
}

fn mismatches(order: &CreatePod, chosen: &Stocked, terms: &Terms) -> Vec<FieldError> {
    let (offer, pod): (_, &PodRequest) = (&chosen.offer, &order.pod);
    let mut errors = Vec::new();
    let mut wrong = |path: &str, text: String| errors.push(wrong_value(path, text));
    if order.provider.kind != ProviderType::Primecompute {
        wrong("body.provider.type", format!("the offer's provider is {}", ProviderType::Primecompute));
    }
    if pod.gpu_type != offer.gpu_type {
        wrong("body.pod.gpuType", format!("the offer {} has {}", offer.cloud_id, offer.gpu_type));
    }
    if pod.gpu_count != offer.gpu_count {
        wrong("body.pod.gpuCount", format!("the offer {} has gpuCount {}", offer.cloud_id, offer.gpu_count));
    }
    if pod.vcpus.is_some_and(|vcpus| vcpus > offer.size.vcpus) {
        wrong("body.pod.vcpus", format!("the offer {} has {}", offer.cloud_id, offer.size.vcpus));
    }
    if pod.memory.is_some_and(|memory| memory > offer.size.memory_gb) {
        wrong("body.pod.memory", format!("the offer {} has {} GB", offer.cloud_id, offer.size.memory_gb));
    }
    let differs = |asked: &Option<String>, ours: &Option<String>| asked.is_some() && asked != ours;
    if differs(&pod.data_center_id, &terms.data_center) {
        wrong(
            "body.pod.dataCenterId",
            format!("the offer is in {}", terms.data_center.as_deref().unwrap_or("none")),
        );
    }
    if differs(&pod.country, &terms.country) {
        wrong(
            "body.pod.country",
            format!("the offer is in {}", terms.country.as_deref().unwrap_or("none that is named")),
        );
    }
    if pod.security.is_some_and(|security| security != terms.security) {
        wrong("body.pod.security", format!("the offer is {}", terms.security));
    }
    if pod.prepaid_for_hr.is_some() {
        let text = "no offer here is paid in advance (prepaidTime is null); leave it out";
        wrong("body.pod.prepaidForHr", text.into());
    }
    errors.extend(sharing::asked(order).err().unwrap_or_default());
    errors
}

/// Takes the place of a new pod on the best of the hosts that fit.
async fn place(
    tx: &mut Tx,
    mut pod: Pod,
    chosen: &Stocked,
    known: &[HostId],
    near: &Near,
    now: Timestamp,
) -> Result<Pod, Error> {
    let offer = &chosen.offer;
    let mut size = offer.size;
    size.disk_gb = pod.spec.disk_gb;
    let gpus = (offer.gpus() > 0).then_some((offer.gpu_type, offer.gpus()));
    for host in candidates(tx, known, near, &size, gpus).await? {
        if let Some(gpus) = tx.placement_take(&host, &pod.id, &size, gpus, now).await? {
            pod.host = host.clone();
            pod.placement = Some(Placement { host, gpus, ports: Vec::new() });
            return Ok(pod);
        }
    }
    let mut hosts = tx.host_states().await?;
    hosts.retain(|host| known.contains(&host.id) && near.takes(&host.id));
    Err(no_capacity(&offer.cloud_id, &hosts))
}

async fn insert(
    tx: &mut Tx,
    mut pod: Pod,
    range: std::ops::RangeInclusive<u16>,
    start: u16,
    now: Timestamp,
) -> Result<Pod, Error> {
    let Some(mut placement) = pod.placement.take() else {
        return Err(Error::Internal("a new pod has no placement".into()));
    };
    let port = tx.port_take(&placement.host, &pod.id, SSH_PORT, Protocol::Tcp, range, start).await?;
    let external =
        port.ok_or_else(|| Error::Conflict("no capacity: all host ports for SSH are taken".into()))?;
    placement.ports.push(PublishedPort { internal: SSH_PORT, external, protocol: Protocol::Tcp });
    pod.placement = Some(placement);
    tx.pod_insert(&pod).await?;
    let text = format!("{} on {}, image {}", pod.spec.name, pod.spec.cloud_id, pod.spec.image_reference);
    tx.event_insert(Some(&pod.id), now, "pod.created", &text).await?;
    Ok(pod)
}

/// The live pods that the caller sees, newest first, with their disks: personal ones, and those of the caller's
/// teams.
///
/// # Errors
/// The database does not answer.
pub async fn pod_list(
    app: &App,
    actor: &Actor,
    offset: u64,
    limit: u64,
) -> Result<(Page<Pod>, HashMap<PodId, Vec<disks::Attached>>), Error> {
    let user = actor.user.clone();
    let read = app.store.snapshot(move |tx| {
        Box::pin(async move {
            let page = tx.pod_list_live(&user, offset, limit).await?;
            let attached = disks::attached_in(tx, &page.items).await?;
            Ok((page, attached))
        })
    });
    read.await
}

/// The marks of the live pods that the caller sees among `ids`; all of them if `ids` is empty. Unknown ones
/// are left out.
///
/// # Errors
/// [`Error::Invalid`] for more ids than one call may name.
pub async fn pod_marks(app: &App, actor: &Actor, ids: &[String]) -> Result<Vec<(PodId, PodMark)>, Error> {
    if ids.len() > limits::STATUS_IDS_MAX {
        let text = format!("at most {} ids in one call; this has {}", limits::STATUS_IDS_MAX, ids.len());
        return Err(Error::field("query.pod_ids", text));
    }
    let known: Vec<PodId> = ids.iter().filter_map(|id| PodId::parse(id)).collect();
    if !ids.is_empty() && ids.len() <= FEW {
        return Ok(app.store.reader().await?.pod_marks_by_ids(&actor.user, &known).await?);
    }
    let (user, all) = (actor.user.clone(), ids.is_empty());
    let read = app.store.snapshot(move |tx| {
        Box::pin(async move {
            match all {
                true => Ok(tx.pod_marks(&user).await?),
                false => Ok(tx.pod_marks_by_ids(&user, &known).await?),
            }
        })
    });
    read.await
}

/// The live pods that the caller sees among those.
///
/// # Errors
/// The database does not answer.
pub async fn pod_list_by_ids(app: &App, actor: &Actor, ids: Vec<PodId>) -> Result<Vec<Pod>, Error> {
    if ids.len() <= FEW {
        return Ok(app.store.reader().await?.pod_list_by_ids(&actor.user, &ids).await?);
    }
    let user = actor.user.clone();
    let read =
        app.store.snapshot(move |tx| Box::pin(async move { Ok(tx.pod_list_by_ids(&user, &ids).await?) }));
    read.await
}

/// One live pod that the caller sees.
///
/// # Errors
/// [`Error::NotFound`], also for somebody else's and for one that is in the history.
pub async fn pod_get(app: &App, actor: &Actor, id: &str) -> Result<Pod, Error> {
    seen(&mut app.store.reader().await?, &actor.user, id).await
}

async fn seen(tx: &mut Tx, user: &UserId, id: &str) -> Result<Pod, Error> {
    let id = PodId::parse(id).ok_or(Error::NotFound)?;
    let pod = tx.pod_get_seen(user, &id).await?.filter(|pod| pod.terminated_at.is_none());
    pod.ok_or(Error::NotFound)
}

/// Deletes a pod: its bill ends now, its machine as soon as it can. Waits a moment for the
/// machine to be gone, and answers whether it is.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Denied`] for a team's pod that somebody else made, but to an ADMIN
/// of the team.
pub async fn pod_delete(app: &App, actor: &Actor, id: &str) -> Result<bool, Error> {
    let ended = app.ended.subscribe();
    let (user, now, id) = (actor.user.clone(), app.now(), id.to_owned());
    let deleted = app.store.write(move |tx| {
        Box::pin(async move {
            tx.pod_lock(&PodId::parse(&id).ok_or(Error::NotFound)?).await?;
            let pod = seen(tx, &user, &id).await?;
            sharing::may(tx, "delete", &pod.owner(), &pod.user_id, &user).await?;
            if pod.desired != Desired::Gone {
                tx.pod_set_gone(&pod.id, now).await?;
                tx.usage_close(&pod.id, now).await?;
                let name = tx.user_get(&user).await?.map_or_else(|| user.to_string(), |user| user.name);
                let text = format!("{name} deleted the pod");
                tx.event_insert(Some(&pod.id), now, "pod.delete_requested", &text).await?;
            }
            Ok::<_, Error>(pod.id)
        })
    });
    let id = deleted.await?;
    let subject = Subject::Pod(id);
    app.changed(subject.clone());
    Ok(app.wait_end(ended, &subject).await)
}

/// A pod of the history and what it cost.
#[derive(Clone, Debug)]
pub struct Past {
    /// The pod.
    pub pod: Pod,
    /// Its bill.
    pub total: Total,
    /// Name of the user who made it.
    pub made_by: Option<String>,
}

/// The ended pods that the caller sees.
///
/// # Errors
/// The database does not answer.
pub async fn pod_history(
    app: &App,
    actor: &Actor,
    sort: HistorySort,
    descending: bool,
    offset: u64,
    limit: u64,
) -> Result<Page<Past>, Error> {
    let (user, now) = (actor.user.clone(), app.now());
    let read = app.store.snapshot(move |tx| {
        Box::pin(async move {
            let page = tx.pod_list_history(&user, sort, descending, offset, limit).await?;
            let ids: Vec<PodId> = page.items.iter().map(|pod| pod.id.clone()).collect();
            let mut usage: HashMap<_, _> = tx.usage_of(&ids).await?;
            let mut names: HashMap<UserId, Option<String>> = HashMap::new();
            for pod in &page.items {
                if !names.contains_key(&pod.user_id) {
                    let name = tx.user_get(&pod.user_id).await?.map(|user| user.name);
                    names.insert(pod.user_id.clone(), name);
                }
            }
            let items = page.items.into_iter().map(|pod| {
                let intervals = usage.remove(&pod.id).unwrap_or_default();
                let made_by = names.get(&pod.user_id).cloned().flatten();
                Past { total: total(&intervals, now), made_by, pod }
            });
            Ok(Page { items: items.collect(), total: page.total })
        })
    });
    read.await
}

/// The last lines that a pod's command wrote.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Unavailable`] while the engine does not answer.
pub async fn pod_logs(app: &App, actor: &Actor, id: &str, tail: u32) -> Result<Logs, Error> {
    let pod = pod_get(app, actor, id).await?;
    let Resource::Present(machine) = &pod.machine else { return Ok(Logs::default()) };
    app.host(&pod.host)?.provider.machine_logs(&machine.handle, tail).await.map_err(|error| {
        tracing::warn!(pod = %pod.id, %error, "logs");
        Error::Unavailable("the container engine does not answer; try again later".into())
    })
}

/// What happened to a pod, oldest first; also for one in the history.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn pod_events(
    app: &App,
    actor: &Actor,
    id: &str,
    after: i64,
    limit: u64,
) -> Result<Vec<Event>, Error> {
    let id = PodId::parse(id).ok_or(Error::NotFound)?;
    let mut tx = app.store.reader().await?;
    tx.pod_get_seen(&actor.user, &id).await?.ok_or(Error::NotFound)?;
    Ok(tx.event_list(&id, after, limit).await?)
}
