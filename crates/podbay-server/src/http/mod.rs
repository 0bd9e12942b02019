//! The HTTP face: every route on one screen, with the permission that it needs.
//!
//! A handler is extract → verb → view. Each path answers with and without a trailing slash, never
//! by a redirect: some clients lose their key or their body on one. A route cannot exist without
//! its permission, because the table is the only way in.

mod api_keys;
mod approve;
mod audit;
mod auth;
mod availability;
mod billing;
mod body;
mod cache;
mod contract;
mod disks;
mod health;
mod invitations;
mod json;
mod limit;
mod logins;
mod once;
mod page;
mod params;
mod pods;
mod reply;
mod skypilot;
mod ssh_keys;
mod status_rows;
mod teams;
mod templates;
mod users;
mod view;

pub use cache::Cache;
pub use contract::{contract, contract_text};
pub use limit::{Class, Limits, Policy};
pub use status_rows::StatusRows;

use crate::app::{App, Error};
use axum::Router;
use axum::http::Method;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{MethodRouter, delete, get, patch, post};
use podbay_core::permission::{Level::Read, Level::Write, Permission, Scope};
use std::sync::Arc;
use tower_http::catch_panic::CatchPanicLayer;

/// One route.
pub struct Route {
    /// Its method.
    pub method: Method,
    /// Its path, without a trailing slash.
    pub path: &'static str,
    /// What a key needs; `None` for what needs no key.
    pub permission: Option<Permission>,
    handler: MethodRouter<Arc<App>>,
}

const INSTANCES_READ: Permission = Permission::Needs(Scope::Instances, Read);
const INSTANCES_WRITE: Permission = Permission::Needs(Scope::Instances, Write);
const LOGIN_BEGIN: &str = "/api/v1/auth_challenge/generate";
const INVITATION_ACCEPT: &str = "/api/v1/invitations/{id}/accept";
const TEAMS_WRITE: Permission = Permission::Needs(Scope::Teams, Write);

/// Every route of the server.
#[must_use]
pub fn routes() -> Vec<Route> {
    const AVAILABILITY: Permission = Permission::Needs(Scope::Availability, Read);
    const DISKS_READ: Permission = Permission::Needs(Scope::Disks, Read);
    const DISKS_WRITE: Permission = Permission::Needs(Scope::Disks, Write);
    const KEYS_READ: Permission = Permission::Needs(Scope::SshKeys, Read);
    const KEYS_WRITE: Permission = Permission::Needs(Scope::SshKeys, Write);
    let mut table = Vec::new();
    let mut add = |method: Method, path, permission: Option<Permission>, handler| {
        table.push(Route { method, path, permission, handler });
    };
    add(Method::GET, "/api/v1/pods", Some(INSTANCES_READ), get(pods::list));
    add(Method::POST, "/api/v1/pods", Some(INSTANCES_WRITE), post(pods::create));
    add(Method::GET, "/api/v1/pods/status", Some(INSTANCES_READ), get(pods::status));
    add(Method::GET, "/api/v1/pods/history", Some(INSTANCES_READ), get(pods::history));
    add(Method::GET, "/api/v1/pods/{id}", Some(INSTANCES_READ), get(pods::show));
    add(Method::DELETE, "/api/v1/pods/{id}", Some(INSTANCES_WRITE), delete(pods::remove));
    add(Method::GET, "/api/v1/pods/{id}/log", Some(INSTANCES_READ), get(pods::log));
    add(Method::GET, "/api/v1/pods/{id}/logs", Some(INSTANCES_READ), get(pods::log));
    add(Method::GET, "/api/v1/pods/{id}/events", Some(INSTANCES_READ), get(pods::events));
    add(Method::GET, "/api/v1/availability", Some(AVAILABILITY), get(availability::legacy));
    add(Method::GET, "/api/v1/availability/gpus", Some(AVAILABILITY), get(availability::gpus));
    add(Method::GET, "/api/v1/availability/multi-node", Some(AVAILABILITY), get(availability::multi_node));
    add(Method::GET, "/api/v1/availability/gpu-summary", Some(AVAILABILITY), get(availability::summary));
    add(Method::GET, "/api/v1/availability/disks", Some(AVAILABILITY), get(availability::disks));
    add(Method::GET, "/api/v1/disks", Some(DISKS_READ), get(disks::list));
    add(Method::POST, "/api/v1/disks", Some(DISKS_WRITE), post(disks::create));
    add(Method::GET, "/api/v1/disks/{id}", Some(DISKS_READ), get(disks::show));
    add(Method::PATCH, "/api/v1/disks/{id}", Some(DISKS_WRITE), patch(disks::update));
    add(Method::DELETE, "/api/v1/disks/{id}", Some(DISKS_WRITE), delete(disks::remove));
    add(Method::GET, "/api/v1/disks/{id}/events", Some(DISKS_READ), get(disks::events));
    add(Method::GET, "/api/v1/availability/clusters", Some(AVAILABILITY), get(availability::clusters));
    add(
        Method::GET,
        "/api/v1/availability/multi-node-summary",
        Some(AVAILABILITY),
        get(availability::multi_node_summary),
    );
    add(Method::GET, "/skypilot/vms.csv", Some(AVAILABILITY), get(skypilot::catalog));
    add(Method::GET, "/api/v1/ssh_keys", Some(KEYS_READ), get(ssh_keys::list));
    add(Method::POST, "/api/v1/ssh_keys", Some(KEYS_WRITE), post(ssh_keys::add));
    add(Method::DELETE, "/api/v1/ssh_keys/{id}", Some(KEYS_WRITE), delete(ssh_keys::remove));
    add(Method::PATCH, "/api/v1/ssh_keys/{id}", Some(KEYS_WRITE), patch(ssh_keys::set_primary));
    add(Method::GET, "/api/v1/user/whoami", Some(Permission::AnyKey), get(users::whoami));
    add(Method::GET, "/api/v1/api_keys", Some(Permission::FullKey), get(api_keys::list));
    add(Method::POST, "/api/v1/api_keys", Some(Permission::FullKey), post(api_keys::create));
    add(Method::DELETE, "/api/v1/api_keys/{id}", Some(Permission::FullKey), delete(api_keys::revoke));
    add(Method::POST, LOGIN_BEGIN, None, post(logins::begin));
    add(Method::GET, "/api/v1/auth_challenge/status", None, get(logins::status));
    add(Method::POST, "/api/v1/auth_challenge/approve", Some(Permission::FullKey), post(logins::approve));
    add(Method::POST, "/api/v1/auth_challenge/refuse", Some(Permission::FullKey), post(logins::refuse));
    add(Method::GET, "/dashboard/tokens/challenge", None, get(approve::page));
    add(Method::GET, "/api/v1/audit", Some(Permission::FullKey), get(audit::report));
    add(Method::GET, "/metrics", Some(Permission::FullKey), get(audit::metrics));
    add(Method::GET, "/healthz", None, get(health::live));
    add(Method::GET, "/readyz", None, get(health::ready));
    add_templates(&mut add);
    add_shared(&mut add);
    add(Method::GET, "/openapi.json", None, get(contract::openapi));
    add(Method::GET, "/docs", None, get(contract::docs));
    table
}

/// The routes around images of one's own.
fn add_templates(add: &mut impl FnMut(Method, &'static str, Option<Permission>, MethodRouter<Arc<App>>)) {
    add(Method::GET, "/api/v1/templates", Some(INSTANCES_READ), get(templates::list));
    add(Method::POST, "/api/v1/templates", Some(INSTANCES_WRITE), post(templates::create));
    add(Method::GET, "/api/v1/templates/{id}", Some(INSTANCES_READ), get(templates::show));
    add(Method::PATCH, "/api/v1/templates/{id}", Some(INSTANCES_WRITE), patch(templates::update));
    add(Method::DELETE, "/api/v1/templates/{id}", Some(INSTANCES_WRITE), delete(templates::remove));
    let check = post(templates::check_image);
    add(Method::POST, "/api/v1/template/check-docker-image", Some(INSTANCES_READ), check);
    const CREDENTIALS: &str = "/api/v1/template/registry-credentials";
    add(Method::GET, CREDENTIALS, Some(INSTANCES_READ), get(templates::list_credentials));
    add(Method::POST, CREDENTIALS, Some(INSTANCES_WRITE), post(templates::add_credentials));
    const CREDENTIALS_ONE: &str = "/api/v1/template/registry-credentials/{id}";
    add(Method::DELETE, CREDENTIALS_ONE, Some(INSTANCES_WRITE), delete(templates::remove_credentials));
}

/// The routes around users, teams and money.
fn add_shared(add: &mut impl FnMut(Method, &'static str, Option<Permission>, MethodRouter<Arc<App>>)) {
    const TEAMS_READ: Permission = Permission::Needs(Scope::Teams, Read);
    const BILLING_READ: Permission = Permission::Needs(Scope::Billing, Read);
    add(Method::PATCH, "/api/v1/user/slug", Some(Permission::FullKey), patch(users::set_slug));
    add(Method::GET, "/api/v1/user/teams", Some(TEAMS_READ), get(teams::list));
    add(Method::POST, "/api/v1/teams", Some(TEAMS_WRITE), post(teams::create));
    add(Method::PATCH, "/api/v1/teams/{id}", Some(TEAMS_WRITE), patch(teams::update));
    add(Method::DELETE, "/api/v1/teams/{id}", Some(TEAMS_WRITE), delete(teams::remove));
    add(Method::GET, "/api/v1/teams/{id}/members", Some(TEAMS_READ), get(teams::members));
    add(Method::PATCH, "/api/v1/teams/{id}/members/{user}", Some(TEAMS_WRITE), patch(teams::set_role));
    add(Method::DELETE, "/api/v1/teams/{id}/members/{user}", Some(TEAMS_WRITE), delete(teams::remove_member));
    add(Method::GET, "/api/v1/teams/{id}/invitations", Some(TEAMS_READ), get(invitations::list));
    add(Method::POST, "/api/v1/teams/{id}/invitations", Some(TEAMS_WRITE), post(invitations::create));
    add(
        Method::DELETE,
        "/api/v1/teams/{id}/invitations/{invitation}",
        Some(TEAMS_WRITE),
        delete(invitations::revoke),
    );
    add(Method::POST, INVITATION_ACCEPT, None, post(invitations::accept));
    add(Method::GET, "/api/v1/billing/wallet", Some(BILLING_READ), get(billing::wallet));
    add(Method::POST, "/api/v1/billing/credits", Some(Permission::FullKey), post(billing::credit));
    add(Method::GET, "/api/v1/users", Some(Permission::FullKey), get(users::list));
    add(Method::POST, "/api/v1/users", Some(Permission::FullKey), post(users::create));
}

/// A route that needs no key: what a POST of it may be repeated by is not a user's.
fn keyless(app: &Arc<App>, path: &str, handler: MethodRouter<Arc<App>>) -> MethodRouter<Arc<App>> {
    let once = |keys| from_fn_with_state((app.clone(), keys), once::guard);
    match path {
        INVITATION_ACCEPT => handler
            .layer(once(once::Keys::Guest))
            .layer(from_fn_with_state((app.clone(), TEAMS_WRITE), auth::optional)),
        LOGIN_BEGIN => handler.layer(once(once::Keys::Program)),
        _ => handler,
    }
}

/// The router over [`routes`].
pub fn router(app: Arc<App>) -> Router {
    let mut router = Router::new();
    for Route { method, path, permission, handler } in routes() {
        let handler = match permission {
            Some(permission) => {
                let handler = match method {
                    Method::POST => {
                        handler.layer(from_fn_with_state((app.clone(), once::Keys::User), once::guard))
                    }
                    _ => handler,
                };
                let needs = auth::Needs { permission, class: Class::of(&method, path) };
                handler.layer(from_fn_with_state((app.clone(), needs), auth::guard))
            }
            None if path.starts_with("/api/") => {
                keyless(&app, path, handler).layer(from_fn_with_state(app.clone(), auth::keyless))
            }
            None => handler.layer(from_fn(auth::to_its_end)),
        };
        router = router.route(path, handler.clone()).route(&format!("{path}/"), handler);
    }
    router
        .fallback(async || Error::NotFound)
        .method_not_allowed_fallback(reply::method_not_allowed)
        .layer(CatchPanicLayer::custom(reply::panicked))
        .with_state(app)
}
