//! `podbay templates` and `podbay registry-credentials`.

use crate::run::{Home, expect};
use crate::stub::{Stub, ok, refuse};
use serde_json::{Value, json};

const TEMPLATES: &str = "GET /api/v1/templates?offset=0&limit=1000";
const PATCH: &str = "PATCH /api/v1/templates/caaaaaaaaaaaaaaaaaaaaaaaa";
const DELETE: &str = "DELETE /api/v1/templates/caaaaaaaaaaaaaaaaaaaaaaaa";
const CREDENTIALS: &str = "GET /api/v1/template/registry-credentials";

fn template() -> Value {
    json!({
        "id": "caaaaaaaaaaaaaaaaaaaaaaaa", "userId": "u", "teamId": null, "name": "web", "image": "nginx:1",
        "command": ["nginx", "-g", "daemon off;"], "envVars": [{"key": "A", "value": "secret"}],
        "ports": [{"number": 80, "protocol": "TCP", "usedBy": null, "description": "the page"},
                  {"number": 53, "protocol": "UDP", "usedBy": null, "description": null}],
        "registryCredentialsId": null, "createdAt": "2026-08-20T10:00:00.000000Z",
        "updatedAt": "2026-08-20T11:00:00.000000Z"
    })
}

fn page(rows: &[Value]) -> Value {
    json!({"total_count": rows.len(), "offset": 0, "limit": 1000, "data": rows, "status": null})
}

fn credentials() -> Value {
    json!({"credentials": [{"id": "cbbbbbbbbbbbbbbbbbbbbbbbb", "name": "lab", "server": "registry.lab:5000",
        "createdAt": "2026-08-20T10:00:00.000000Z", "updatedAt": "2026-08-20T10:00:00.000000Z", "userId": "u",
        "teamId": null}]})
}

#[test]
fn a_template_is_made_with_all_its_parts() {
    let stub = Stub::start(vec![ok(CREDENTIALS, credentials()), ok("POST /api/v1/templates", template())]);
    let home = Home::at(&stub).variable("TOKEN", "hidden");
    let line = "templates create web --image nginx:1 --env A=1=2 --env TOKEN --port 80=the@page --port 53/udp \
                --registry-credentials lab -- nginx -g daemon@off;";
    let words: Vec<String> = line.split_whitespace().map(|word| word.replace('@', " ")).collect();
    let done = home.podbay(&words.iter().map(String::as_str).collect::<Vec<_>>());
    let table = "\
id           caaaaaaaaaaaaaaaaaaaaaaaa
name         web
image        nginx:1
command      nginx -g daemon off;
environment  A
ports        80/TCP the page, 53/UDP
credentials  -
made         2026-08-20 10:00:00Z
changed      2026-08-20 11:00:00Z
";
    expect(&done, 0, table, "made template web (caaaaaaaaaaaaaaaaaaaaaaaa)\n");
    let sent = json!({
        "name": "web", "image": "nginx:1", "command": ["nginx", "-g", "daemon off;"],
        "envVars": [{"key": "A", "value": "1=2"}, {"key": "TOKEN", "value": "hidden"}],
        "ports": template()["ports"], "registryCredentialsId": "cbbbbbbbbbbbbbbbbbbbbbbbb",
    });
    assert_eq!(stub.requests()[1].body, sent);
}

#[test]
fn only_what_is_named_is_changed() {
    let stub = Stub::start(vec![
        ok(TEMPLATES, page(&[template()])),
        ok(PATCH, template()),
        ok(TEMPLATES, page(&[template()])),
        ok(PATCH, template()),
    ]);
    let home = Home::at(&stub);
    assert_eq!(home.podbay(&["templates", "update", "web", "--image", "nginx:2", "--", "run"]).code, 0);
    let none = [
        "templates",
        "update",
        "caaaa",
        "--no-command",
        "--no-env",
        "--no-ports",
        "--no-registry-credentials",
    ];
    assert_eq!(home.podbay(&none).code, 0);
    let requests = stub.requests();
    assert_eq!(requests[1].body, json!({"image": "nginx:2", "command": ["run"]}));
    let cleared = json!({"command": null, "envVars": [], "ports": [], "registryCredentialsId": null});
    assert_eq!(requests[3].body, cleared);
}

#[test]
fn templates_are_listed_and_deleted() {
    let stub = Stub::start(vec![
        ok(TEMPLATES, page(&[template()])),
        ok(TEMPLATES, page(&[template()])),
        ok(DELETE, json!({})),
        ok(TEMPLATES, page(&[])),
    ]);
    let home = Home::at(&stub);
    let table = "\
ID                         NAME  IMAGE    MADE
caaaaaaaaaaaaaaaaaaaaaaaa  web   nginx:1  2026-08-20 10:00:00Z
";
    expect(&home.podbay(&["templates", "list"]), 0, table, "");
    let text = "deleted template web (caaaaaaaaaaaaaaaaaaaaaaaa)\n";
    expect(&home.podbay(&["templates", "delete", "web", "-y"]), 0, "", text);
    expect(&home.podbay(&["templates", "get", "x"]), 5, "", "error: there is no template `x`\n");
    stub.requests();
    for port in ["0x", "80/sctp", "70000"] {
        assert_eq!(
            home.podbay(&["templates", "create", "t", "--image", "i", "--port", port]).code,
            2,
            "{port}"
        );
    }
}

#[test]
fn a_registrys_password_comes_from_a_file_or_stdin() {
    let added = credentials()["credentials"][0].clone();
    let stub = Stub::start(vec![
        ok("POST /api/v1/template/registry-credentials", added.clone()),
        ok("POST /api/v1/template/registry-credentials", added),
        ok(CREDENTIALS, credentials()),
        ok("DELETE /api/v1/template/registry-credentials/cbbbbbbbbbbbbbbbbbbbbbbbb", json!({})),
    ]);
    let home = Home::at(&stub);
    home.file("password", " s3cret\n");
    home.file("two", "a\nb\n");
    let add = |file: &str| {
        let line = "registry-credentials add lab --server registry.lab:5000 --username ada --password-file";
        line.split(' ').chain([file]).map(str::to_owned).collect::<Vec<_>>()
    };
    let run = |words: &[String]| home.podbay(&words.iter().map(String::as_str).collect::<Vec<_>>());
    let table = "\
ID                         NAME  SERVER             ADDED
cbbbbbbbbbbbbbbbbbbbbbbbb  lab   registry.lab:5000  2026-08-20 10:00:00Z
";
    expect(&run(&add(&home.path("password").display().to_string())), 0, table, "added\n");
    let words = add("-");
    let done = home.feed(&words.iter().map(String::as_str).collect::<Vec<_>>(), "s3cret");
    expect(&done, 0, table, "added\n");
    let text = "error: cannot read HOME/two: it must have one line, the secret\n";
    expect(&run(&add(&home.path("two").display().to_string())), 2, "", text);
    let text = "deleted registry credentials lab (cbbbbbbbbbbbbbbbbbbbbbbbb)\n";
    expect(&home.podbay(&["registry-credentials", "delete", "lab", "-y"]), 0, "", text);
    let requests = stub.requests();
    let sent = |password: &str| json!({"name": "lab", "server": "registry.lab:5000", "username": "ada", "password": password});
    assert_eq!((&requests[0].body, &requests[1].body), (&sent(" s3cret"), &sent("s3cret")));
}

#[test]
fn an_order_names_a_template_and_takes_the_notebooks_password_from_a_file() {
    let offer = "GET /api/v1/availability/gpus?cloud_id=cpu-2x4&page=1&page_size=100";
    let stub = Stub::start(vec![
        ok(offer, crate::pods::offers()),
        ok(TEMPLATES, page(&[template()])),
        refuse("POST /api/v1/pods", 409, json!({"detail": "no capacity"})),
    ]);
    let home = Home::at(&stub);
    let words = ["pods", "create", "--offer", "cpu-2x4", "--template", "web", "--jupyter-password-file", "-"];
    assert_eq!(home.feed(&words, "open sesame\n").code, 6);
    let sent = &stub.requests()[2].body["pod"];
    assert_eq!((&sent["image"], &sent["customTemplateId"]), (&json!("custom_template"), &template()["id"]));
    assert_eq!(sent["jupyterPassword"], "open sesame");
}
