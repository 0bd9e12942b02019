//! `/api/v1/templates` and `/api/v1/template`.

use super::body::Body;
use super::params::{Id, Params};
use super::reply::kept;
use super::view;
use crate::app::once::Replay;
use crate::app::{Actor, App, Error, registry_credentials, templates};
use axum::extract::State;
use axum::{Extension, Json};
use podbay_api::pods::EnvVar;
use podbay_api::templates::{
    AddRegistryCredentials, ChangeTemplate, CheckImage, CreateTemplate, ImageChecked, RegistryCredentials,
    RegistryCredentialsList, Template, TemplatePort,
};
use podbay_api::{Empty, OffsetPage};
use podbay_core::pod::NamedPort;
use podbay_core::template;
use std::sync::Arc;

type AppState = State<Arc<App>>;
type Caller = Extension<Actor>;

fn template(template: &template::Template) -> Template {
    let var = |(key, value): &(String, String)| EnvVar { key: key.clone(), value: value.clone() };
    let port = |named: &NamedPort| TemplatePort {
        number: named.port.number,
        protocol: named.port.protocol.into(),
        used_by: named.used_by.map(Into::into),
        description: named.description.clone(),
    };
    Template {
        id: template.id.to_string(),
        user_id: template.user_id.to_string(),
        team_id: template.team_id.as_ref().map(ToString::to_string),
        name: template.name.clone(),
        image: template.image.clone(),
        command: template.command.clone(),
        env_vars: template.env.iter().map(var).collect(),
        ports: template.ports.iter().map(port).collect(),
        registry_credentials_id: template.credentials.as_ref().map(ToString::to_string),
        created_at: template.created_at.to_string(),
        updated_at: template.updated_at.to_string(),
    }
}

fn credentials(row: &template::RegistryCredentials) -> RegistryCredentials {
    RegistryCredentials {
        id: row.id.to_string(),
        name: row.name.clone(),
        server: row.server.clone(),
        created_at: row.created_at.to_string(),
        updated_at: row.updated_at.to_string(),
        user_id: Some(row.user_id.to_string()),
        team_id: None,
    }
}

impl Replay for template::Template {
    fn replay(&self, _: &App) -> Result<(u16, String), Error> {
        kept(Ok(template(self)))
    }
}

impl Replay for template::RegistryCredentials {
    fn replay(&self, _: &App) -> Result<(u16, String), Error> {
        kept(Ok(credentials(self)))
    }
}

impl Replay for ImageChecked {
    fn replay(&self, _: &App) -> Result<(u16, String), Error> {
        kept(Ok(self.clone()))
    }
}

pub(super) async fn list(
    State(app): AppState,
    Extension(actor): Caller,
    mut params: Params,
) -> Result<Json<OffsetPage<Template>>, Error> {
    let (offset, limit) = params.page();
    params.finish()?;
    let page = templates::template_list(&app, &actor, offset, limit.into()).await?;
    Ok(Json(view::page(&page, offset, limit, template)))
}

pub(super) async fn create(
    State(app): AppState,
    Extension(actor): Caller,
    Body(body): Body,
) -> Result<Json<Template>, Error> {
    let request = CreateTemplate::parse(&body)?;
    Ok(Json(template(&templates::template_create(&app, &actor, request).await?)))
}

pub(super) async fn show(
    State(app): AppState,
    Extension(actor): Caller,
    Id(id): Id,
) -> Result<Json<Template>, Error> {
    Ok(Json(template(&templates::template_get(&app, &actor, &id).await?)))
}

pub(super) async fn update(
    State(app): AppState,
    Extension(actor): Caller,
    Id(id): Id,
    Body(body): Body,
) -> Result<Json<Template>, Error> {
    let change = ChangeTemplate::parse(&body)?;
    Ok(Json(template(&templates::template_update(&app, &actor, &id, change).await?)))
}

pub(super) async fn remove(
    State(app): AppState,
    Extension(actor): Caller,
    Id(id): Id,
) -> Result<Json<Empty>, Error> {
    templates::template_delete(&app, &actor, &id).await?;
    Ok(Json(Empty {}))
}

pub(super) async fn check_image(
    State(app): AppState,
    Extension(actor): Caller,
    Body(body): Body,
) -> Result<Json<ImageChecked>, Error> {
    let request = CheckImage::parse(&body)?;
    Ok(Json(templates::image_check(&app, &actor, request).await?))
}

pub(super) async fn list_credentials(
    State(app): AppState,
    Extension(actor): Caller,
) -> Result<Json<RegistryCredentialsList>, Error> {
    let rows = registry_credentials::credentials_list(&app, &actor).await?;
    Ok(Json(RegistryCredentialsList { credentials: rows.iter().map(credentials).collect() }))
}

pub(super) async fn add_credentials(
    State(app): AppState,
    Extension(actor): Caller,
    Body(body): Body,
) -> Result<Json<RegistryCredentials>, Error> {
    let request = AddRegistryCredentials::parse(&body)?;
    Ok(Json(credentials(&registry_credentials::credentials_add(&app, &actor, request).await?)))
}

pub(super) async fn remove_credentials(
    State(app): AppState,
    Extension(actor): Caller,
    Id(id): Id,
) -> Result<Json<Empty>, Error> {
    registry_credentials::credentials_delete(&app, &actor, &id).await?;
    Ok(Json(Empty {}))
}
