//! The client has a call for every route of the server.

use axum::Router;
use axum::http::{Method, StatusCode, Uri};
use podbay_api::api_keys::CreateApiKey;
use podbay_api::billing::AddCredit;
use podbay_api::client::{Client, DiskOfferFilter, HistoryQuery, OfferFilter, SortBy};
use podbay_api::disks::{CreateDisk, PatchDisk};
use podbay_api::logins::{ApproveLogin, BeginLogin, RefuseLogin};
use podbay_api::paths;
use podbay_api::pods::CreatePod;
use podbay_api::ssh_keys::AddSshKey;
use podbay_api::teams::{AcceptInvitation, CreateTeam, Invite, SetRole, UpdateTeam};
use podbay_api::templates::{AddRegistryCredentials, ChangeTemplate, CheckImage, CreateTemplate};
use podbay_api::users::{CreateUser, SetSlug};
use podbay_core::LoginCode;
use podbay_core::permission::Scopes;
use podbay_core::published::TeamRole;
use podbay_server::http::routes;
use podbay_testkit::TestServer;
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

type Seen = Arc<Mutex<BTreeSet<(Method, String)>>>;
/// Paths with the names of the parameters of a query.
type Asked = Arc<Mutex<BTreeSet<(String, String)>>>;

/// Routes that a program has no use for: pages for people, numbers for Prometheus, and another name for the log.
const NOT_FOR_PROGRAMS: [&str; 4] =
    [paths::DOCS, paths::LOGIN_PAGE, paths::METRICS, "/api/v1/pods/{id}/logs"];

/// A server that knows nothing and writes down what it was asked.
async fn recorder() -> (Client, Seen, Asked) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (seen, asked) = (Seen::default(), Asked::default());
    let (log, query_log) = (Arc::clone(&seen), Arc::clone(&asked));
    let router = Router::new().fallback(async move |method: Method, uri: Uri| {
        let ids = [("/ID", "/{id}"), ("/USER", "/{user}"), ("/INVITATION", "/{invitation}")];
        let path = uri.path().trim_end_matches('/').to_owned();
        let path = ids.into_iter().fold(path, |path, (id, name)| path.replace(id, name));
        let names = uri.query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
        query_log.lock().unwrap().extend(names.map(|(name, _)| (path.clone(), name.to_owned())));
        log.lock().unwrap().insert((method, path));
        (StatusCode::NOT_FOUND, r#"{"detail": "Not found"}"#)
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (Client::new(&base, Some("key")).unwrap(), seen, asked)
}

/// Every call of the client; the ids are the names of their places.
async fn call_everything(client: &Client) {
    let order = CreatePod::parse(&TestServer::order()).unwrap();
    let ssh_key = AddSshKey { name: "n".into(), public_key: "k".into() };
    let api_key = CreateApiKey { name: "n".into(), scopes: Scopes::FULL, expires_at: None };
    let offers = OfferFilter::default();
    client.probe(paths::HEALTHZ).await.unwrap();
    client.probe(paths::READYZ).await.unwrap();
    client.contract().await.unwrap_err();
    client.pods_all().await.unwrap_err();
    client.pod("ID").await.unwrap_err();
    client.pod_create(&order).await.unwrap_err();
    client.pod_delete("ID").await.unwrap_err();
    client.pod_statuses(&["ID"]).await.unwrap_err();
    client.pod_history(&HistoryQuery::default()).await.unwrap_err();
    client.pod_log("ID", 1).await.unwrap_err();
    client.pod_events("ID", 0, 1).await.unwrap_err();
    client.offers_all(&offers).await.unwrap_err();
    client.offers_multi_node(&offers, 1, 1).await.unwrap_err();
    client.offer_map(&offers, 1, 1).await.unwrap_err();
    client.gpu_summary().await.unwrap_err();
    client.ssh_keys().await.unwrap_err();
    client.ssh_key_add(&ssh_key).await.unwrap_err();
    client.ssh_key_delete("ID").await.unwrap_err();
    client.ssh_key_set_primary("ID").await.unwrap_err();
    client.whoami().await.unwrap_err();
    client.user_set_slug(&SetSlug { slug: "s".into() }).await.unwrap_err();
    client.users().await.unwrap_err();
    client.audit().await.unwrap_err();
    client.user_create(&CreateUser { name: "n".into(), email: "e".into() }).await.unwrap_err();
    client.wallet(None, 0, 1).await.unwrap_err();
    let credit = AddCredit { user_id: None, team_id: None, amount_usd: 1.0, note: None };
    client.credit(&credit).await.unwrap_err();
    client.api_keys().await.unwrap_err();
    client.api_key_create(&api_key).await.unwrap_err();
    client.api_key_revoke("ID").await.unwrap_err();
}

async fn call_disks(client: &Client) {
    let order = CreateDisk::parse(&TestServer::disk_order(1)).unwrap();
    client.disk_offers_all(&DiskOfferFilter::default()).await.unwrap_err();
    client.disks_all().await.unwrap_err();
    client.disk("ID").await.unwrap_err();
    client.disk_create(&order).await.unwrap_err();
    client.disk_update("ID", &PatchDisk::default()).await.unwrap_err();
    client.disk_delete("ID").await.unwrap_err();
    client.disk_events("ID", 0, 1).await.unwrap_err();
}

async fn call_logins_and_catalogs(client: &Client) {
    let code = LoginCode::from_bits(7);
    client.login_begin(&BeginLogin { encryption_public_key: "k".into(), limits: None }).await.unwrap_err();
    client.login_status(code.as_str()).await.unwrap_err();
    let approval = ApproveLogin { challenge: code.clone(), scopes: None, expires_at: None };
    client.login_approve(&approval).await.unwrap_err();
    client.login_refuse(&RefuseLogin { challenge: code }).await.unwrap_err();
    client.cluster_map(&OfferFilter::default(), 1, 1).await.unwrap_err();
    client.multi_node_summary().await.unwrap_err();
    client.skypilot_catalog().await.unwrap_err();
}

async fn call_templates(client: &Client) {
    let template = json!({ "name": "n", "image": "i" });
    client.templates().await.unwrap_err();
    client.template("ID").await.unwrap_err();
    client.template_create(&CreateTemplate::parse(&template).unwrap()).await.unwrap_err();
    client.template_update("ID", &ChangeTemplate::default()).await.unwrap_err();
    client.template_delete("ID").await.unwrap_err();
    let question = CheckImage { image: "i".into(), registry_credentials_id: None };
    client.image_check(&question).await.unwrap_err();
    client.registry_credentials().await.unwrap_err();
    let credentials = json!({ "name": "n", "server": "s", "username": "u", "password": "p" });
    let credentials = AddRegistryCredentials::parse(&credentials).unwrap();
    client.registry_credentials_add(&credentials).await.unwrap_err();
    client.registry_credentials_delete("ID").await.unwrap_err();
}

async fn call_teams(client: &Client) {
    let invite = Invite { role: None, email: None, expires_in_hours: None };
    client.teams().await.unwrap_err();
    client.team_create(&CreateTeam { name: "n".into(), slug: None }).await.unwrap_err();
    client.team_update("ID", &UpdateTeam::default()).await.unwrap_err();
    client.team_delete("ID").await.unwrap_err();
    client.team_members("ID").await.unwrap_err();
    client.team_set_role("ID", "USER", &SetRole { role: TeamRole::Admin }).await.unwrap_err();
    client.team_remove("ID", "USER").await.unwrap_err();
    client.invitations("ID").await.unwrap_err();
    client.invite("ID", &invite).await.unwrap_err();
    client.invitation_revoke("ID", "INVITATION").await.unwrap_err();
    client.invitation_accept("ID", &AcceptInvitation::default()).await.unwrap_err();
}

#[tokio::test]
async fn every_route_has_a_call() {
    let (client, seen, _) = recorder().await;
    call_everything(&client).await;
    call_disks(&client).await;
    call_teams(&client).await;
    call_logins_and_catalogs(&client).await;
    call_templates(&client).await;
    let seen = seen.lock().unwrap();
    for route in routes().into_iter().filter(|route| !NOT_FOR_PROGRAMS.contains(&route.path)) {
        let called = (route.method.clone(), route.path.to_owned());
        assert!(seen.contains(&called), "the client has no call for {called:?}; or call it in this test");
    }
}

/// Every call that has parameters, with all that it can be given.
async fn ask_everything(client: &Client) {
    let text = || Some("x".to_owned());
    let filter = OfferFilter {
        regions: vec!["x".into()],
        gpu_count: Some(1),
        gpu_type: text(),
        socket: text(),
        security: text(),
        data_center_id: text(),
        cloud_id: text(),
        disks: vec!["x".into()],
    };
    let near = DiskOfferFilter { regions: vec!["x".into()], data_center_id: text(), cloud_id: text() };
    let history = HistoryQuery { sort_by: SortBy::CreatedAt, offset: 1, ..HistoryQuery::default() };
    client.offers(&filter, 2, 3).await.unwrap_err();
    client.offers_multi_node(&filter, 2, 3).await.unwrap_err();
    client.offer_map(&filter, 2, 3).await.unwrap_err();
    client.cluster_map(&filter, 2, 3).await.unwrap_err();
    client.disk_offers(&near, 2, 3).await.unwrap_err();
    client.pods(1, 2).await.unwrap_err();
    client.pod_statuses(&["x"]).await.unwrap_err();
    client.pod_history(&history).await.unwrap_err();
    client.pod_log("ID", 1).await.unwrap_err();
    client.pod_events("ID", 1, 2).await.unwrap_err();
    client.disks(1, 2).await.unwrap_err();
    client.disk_events("ID", 1, 2).await.unwrap_err();
    client.ssh_keys_page(1, 2).await.unwrap_err();
    client.templates_page(1, 2).await.unwrap_err();
    client.users_page(1, 2).await.unwrap_err();
    client.teams_page(1, 2).await.unwrap_err();
    client.team_members_page("ID", 1, 2).await.unwrap_err();
    client.wallet(Some("x"), 1, 2).await.unwrap_err();
    client.whoami_in("x").await.unwrap_err();
    client.login_status("x").await.unwrap_err();
}

#[tokio::test]
async fn every_parameter_of_a_query_can_be_given() {
    let (client, _, asked) = recorder().await;
    ask_everything(&client).await;
    let (asked, document) = (asked.lock().unwrap(), podbay_server::http::contract().json);
    for (path, item) in document["paths"].as_object().unwrap() {
        if NOT_FOR_PROGRAMS.contains(&path.as_str()) {
            continue;
        }
        let parameters = item["get"]["parameters"].as_array().into_iter().flatten();
        for parameter in parameters.filter(|parameter| parameter["in"] == "query") {
            let name = parameter["name"].as_str().unwrap().to_owned();
            assert!(
                asked.contains(&(path.clone(), name.clone())),
                "the client cannot give {path} its {name}"
            );
        }
    }
}
