//! Templates, and questions about images.
//!
//! [`image_check`] is the one verb that asks outside while its caller waits: it changes nothing
//! anywhere, is bounded in time and number, and goes only where the guard lets it.

use super::registry_credentials::{fitting, reveal};
use super::{Actor, App, Error};
use futures_util::future::join_all;
use podbay_api::templates::{ChangeTemplate, CheckImage, CreateTemplate, ImageChecked, TemplatePort};
use podbay_core::pod::{CallError, ImageFact, NamedPort, PortSpec};
use podbay_core::published::Protocol;
use podbay_core::template::Template;
use podbay_core::{CredentialsId, TemplateId, UserId, limits};
use podbay_provider::ImageRequest;
use podbay_provider::reference::Reference;
use podbay_provider::registry::Found;
use podbay_store::{Page, Tx};
use std::collections::BTreeSet;

/// The caller's templates, oldest first.
///
/// # Errors
/// The database does not answer.
pub async fn template_list(
    app: &App,
    actor: &Actor,
    offset: u64,
    limit: u64,
) -> Result<Page<Template>, Error> {
    Ok(app.store.reader().await?.template_list(&actor.user, offset, limit).await?)
}

/// One template of the caller.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn template_get(app: &App, actor: &Actor, id: &str) -> Result<Template, Error> {
    owned(&mut app.store.reader().await?, &actor.user, id).await
}

pub(super) async fn owned(tx: &mut Tx, user: &UserId, id: &str) -> Result<Template, Error> {
    let id = TemplateId::parse(id).ok_or(Error::NotFound)?;
    tx.template_get(user, &id).await?.ok_or(Error::NotFound)
}

/// Makes a template.
///
/// # Errors
/// [`Error::Invalid`] for an image that is none or must not be named, or credentials that do not fit;
/// [`Error::Conflict`] when there are too many.
pub async fn template_create(app: &App, actor: &Actor, request: CreateTemplate) -> Result<Template, Error> {
    let reference = reference(app, &request.image, "body.image")?;
    let now = app.now();
    let template = Template {
        id: app.chance.template_id(),
        user_id: actor.user.clone(),
        team_id: None,
        name: request.name,
        image: request.image,
        command: request.command,
        env: request.env_vars.into_iter().map(|var| (var.key, var.value)).collect(),
        ports: request.ports.into_iter().map(port).collect(),
        credentials: None,
        created_at: now,
        updated_at: now,
    };
    let credentials = request.registry_credentials_id;
    let stored = app.write_once(actor, move |tx| {
        Box::pin(async move {
            let mut template = template;
            if tx.template_list(&template.user_id, 0, 0).await?.total >= limits::TEMPLATES_MAX as u64 {
                let most = limits::TEMPLATES_MAX;
                let text = format!("this account has {most} templates already; delete one first");
                return Err(Error::Conflict(text));
            }
            template.credentials = checked(tx, &template.user_id, credentials.as_deref(), &reference).await?;
            tx.template_insert(&template).await?;
            Ok(template)
        })
    });
    stored.await
}

/// Changes a template. Pods that were ordered from it stay as they are.
///
/// # Errors
/// As [`template_create`]; [`Error::NotFound`].
pub async fn template_update(
    app: &App,
    actor: &Actor,
    id: &str,
    change: ChangeTemplate,
) -> Result<Template, Error> {
    if let Some(image) = &change.image {
        reference(app, image, "body.image")?;
    }
    let (user, id, now) = (actor.user.clone(), id.to_owned(), app.now());
    let stored = app.store.write(move |tx| {
        Box::pin(async move {
            let mut template = owned(tx, &user, &id).await?;
            let credentials = change
                .registry_credentials_id
                .unwrap_or_else(|| template.credentials.as_ref().map(ToString::to_string));
            template.name = change.name.unwrap_or(template.name);
            template.image = change.image.unwrap_or(template.image);
            template.command = change.command.unwrap_or(template.command);
            if let Some(vars) = change.env_vars {
                template.env = vars.into_iter().map(|var| (var.key, var.value)).collect();
            }
            if let Some(ports) = change.ports {
                template.ports = ports.into_iter().map(port).collect();
            }
            let reference = Reference::parse(&template.image).map_err(Error::Internal)?;
            template.credentials = checked(tx, &user, credentials.as_deref(), &reference).await?;
            template.updated_at = now;
            tx.template_update(&template).await?;
            Ok::<_, Error>(template)
        })
    });
    stored.await
}

/// Deletes a template. Pods that were ordered from it stay as they are.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn template_delete(app: &App, actor: &Actor, id: &str) -> Result<(), Error> {
    let id = TemplateId::parse(id).ok_or(Error::NotFound)?;
    let (user, now) = (actor.user.clone(), app.now());
    let deleted = app
        .store
        .write(move |tx| Box::pin(async move { Ok::<_, Error>(tx.template_delete(&user, &id, now).await?) }));
    if deleted.await? { Ok(()) } else { Err(Error::NotFound) }
}

async fn checked(
    tx: &mut Tx,
    user: &UserId,
    id: Option<&str>,
    reference: &Reference,
) -> Result<Option<CredentialsId>, Error> {
    match id {
        Some(id) => Ok(Some(fitting(tx, user, id, reference, "body.registryCredentialsId").await?.id)),
        None => Ok(None),
    }
}

fn port(port: TemplatePort) -> NamedPort {
    // What was read knows no other words.
    let protocol = port.protocol.known().copied().unwrap_or(Protocol::Tcp);
    NamedPort {
        port: PortSpec { number: port.number, protocol },
        used_by: port.used_by.and_then(|used_by| used_by.known().copied()),
        description: port.description,
    }
}

/// The reference that `text` is, if an image of its registry may be named.
fn reference(app: &App, text: &str, field: &str) -> Result<Reference, Error> {
    let reference = Reference::parse(text).map_err(|text| Error::field(field, text))?;
    if !reference.is_local() {
        let admitted = app.registry.guard().admit_name(&reference.registry);
        admitted.map_err(|forbidden| Error::field(field, forbidden.0))?;
    }
    Ok(reference)
}

/// Whether any host has an image that is never fetched.
async fn look_on_hosts(app: &App, request: &ImageRequest) -> podbay_provider::Answer<ImageFact> {
    let looks = join_all(app.hosts.iter().map(|host| host.provider.image_ensure(request, &|_| {}))).await;
    // That one has not got it says more than that another one does not answer.
    let worth = |looked: &podbay_provider::Answer<ImageFact>| match looked {
        Ok(_) => 2,
        Err(CallError::Refused { .. }) => 1,
        Err(_) => 0,
    };
    let none = || Err(CallError::NotSent("there is no host".into()));
    looks.into_iter().max_by_key(worth).unwrap_or_else(none)
}

/// Asks where an image comes from whether it is there, for the caller, and for this machine.
///
/// # Errors
/// [`Error::Invalid`] for what is no reference, and for credentials that do not fit. That an image cannot
/// be had is an answer, not an error.
pub async fn image_check(app: &App, actor: &Actor, request: CheckImage) -> Result<ImageChecked, Error> {
    let reference = Reference::parse(&request.image).map_err(|text| Error::field("body.image", text))?;
    let mut tx = app.store.reader().await?;
    let credentials = match &request.registry_credentials_id {
        Some(id) => {
            let field = "body.registry_credentials_id";
            let row = fitting(&mut tx, &actor.user, id, &reference, field).await?;
            Some(reveal(app, &row).ok_or_else(|| Error::field(field, LOST))?)
        }
        None => None,
    };
    let mut hosts = tx.host_states().await?;
    hosts.retain(|host| app.hosts.has(&host.id));
    drop(tx);
    let answer = if reference.is_local() {
        // Never fetched: the engine only looks.
        let request = ImageRequest { reference: request.image.clone(), digest: None, credentials: None };
        let looked = look_on_hosts(app, &request).await;
        let found = |digest| Found { digest: Some(digest), platforms: Vec::new() };
        looked.map(|fact| found(fact.digest)).map_err(|error| match error {
            CallError::Refused { text, .. } => text,
            CallError::NotSent(_) | CallError::Unknown(_) => "the container engine does not answer".into(),
        })
    } else {
        let turn = tokio::time::timeout(limits::IMAGE_CHECK_MAX, app.image_checks.acquire()).await;
        let busy = || Error::Unavailable("too many questions about images at once; try again later".into());
        let _turn = turn.map_err(|_| busy())?;
        app.registry.look(&reference, credentials.as_ref()).await.map_err(|miss| miss.to_string())
    };
    let (found, mut detail) = match answer {
        Ok(found) => (found, None),
        Err(text) => (Found::default(), Some(text)),
    };
    let ours: BTreeSet<String> =
        hosts.iter().map(|host| format!("linux/{}", host.facts.architecture)).collect();
    let is = |platform: &str, ours: &str| {
        platform.strip_prefix(ours).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let fits = |platform: &String| ours.iter().any(|ours| is(platform, ours));
    if !found.platforms.is_empty() && !found.platforms.iter().any(fits) {
        let (theirs, ours) = (found.platforms.join(", "), Vec::from_iter(ours).join(" or "));
        detail = Some(format!("the image is for {theirs}, and pods here are {ours}"));
    }
    let checked = ImageChecked {
        valid: detail.is_none(),
        image: reference.to_string(),
        detail,
        digest: found.digest,
        platforms: found.platforms,
    };
    if actor.once.is_none() {
        return Ok(checked);
    }
    // Nothing was changed; but who names a key is promised the same answer again.
    app.write_once(actor, move |_| Box::pin(async move { Ok(checked) })).await
}

/// Why sealed credentials do not open.
pub(crate) const LOST: &str = "these registry credentials cannot be read any more (the server has another \
                               vault.secret): add them again";
