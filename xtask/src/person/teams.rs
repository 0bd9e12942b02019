//! Teams, their members, and what they share.

use super::{Step, Walk, contains, same};
use crate::http::{Api, rows, text};
use crate::sh::{self, Context, Result};
use serde_json::{Value, json};
use std::fs;

const POD_NAME: &str = "walk-team";
const FRIEND: &str = "friend";

pub const STEPS: &[Step] = &[
    ("teams list shows a team that was made", list),
    ("teams members shows who has joined", members),
    ("whoami in the name of the team", whoami),
    ("pods create --share-with-team makes a pod of the team", create_shared),
    ("wallet of the team shows what the pod has cost", wallet),
    ("pods create --add-members asks whom to let in", create_for_members),
    ("pods list shows the team's pods to the one who has joined", list_of_friend),
];

/// The id of the only team.
pub fn team(walk: &Walk) -> Result<String> {
    let list = walk.server.api.get("/api/v1/user/teams")?.ok("user/teams")?;
    let team = rows(&list, "/data").first().context("there is no team")?;
    Ok(text(team, "/teamId").to_owned())
}

/// What the client says with that variable set.
fn prime_with(walk: &Walk, (name, value): (&str, &str), args: &[&str]) -> Result<String> {
    sh::capture(walk.command(&walk.client).args(args).env(name, value))
}

fn json_of(said: &str) -> Result<Value> {
    serde_json::from_str(said).context(format!("not JSON: {said}"))
}

fn list(walk: &mut Walk) -> Result<()> {
    // The client has no command that makes a team, or invites into one.
    let made = walk.server.api.call("POST", "/api/v1/teams", Some(&json!({ "name": "walkers" })))?;
    let made = made.ok("POST teams")?;
    let list = walk.prime_json(&["teams", "list"])?;
    let found = rows(&list, "/teams").iter().find(|row| text(row, "/teamId") == text(&made, "/teamId"));
    same(text(found.context(format!("absent: {list}"))?, "/role"), "ADMIN")?;
    let part = |offset| walk.prime_json(&["teams", "list", "--limit", "1", "--offset", offset]);
    same(text(&part("0")?, "/teams/0/name"), "walkers")?;
    same(&rows(&part("1")?, "/teams").len().to_string(), "0")?;
    contains(&walk.prime(&["teams", "list"])?, "walkers")
}

fn members(walk: &mut Walk) -> Result<()> {
    let team = team(walk)?;
    let path = format!("/api/v1/teams/{team}/invitations");
    let invited = walk.server.api.call("POST", &path, Some(&json!({})))?.ok("POST invitations")?;
    let body = json!({ "name": FRIEND, "email": "friend@example.org" });
    let nobody = Api { base: walk.server.api.base.clone(), key: String::new() };
    let joined = nobody.call("POST", text(&invited, "/path"), Some(&body))?.ok("accept")?;
    fs::write(walk.home.join("friend.key"), text(&joined, "/key"))?;
    let list = walk.prime_json(&["teams", "members", "--team-id", &team])?;
    same(&list["total_count"].to_string(), "2")?;
    let said = walk.prime(&["teams", "members", "--team-id", &team])?;
    [FRIEND, "MEMBER"].iter().try_for_each(|part| contains(&said, part))
}

fn whoami(walk: &mut Walk) -> Result<()> {
    contains(&prime_with(walk, ("PRIME_TEAM_ID", &team(walk)?), &["whoami"])?, "Team")
}

/// Orders a pod for the team, and says what the client said.
fn create(walk: &Walk, sharing: &str, typed: &[u8]) -> Result<String> {
    let team = team(walk)?;
    let mut command = walk.command(&walk.client);
    command.args(["pods", "create", "--id", &walk.offer, "--name", POD_NAME, "--image", "ubuntu_22_cuda_12"]);
    let said = sh::feed(command.args(["--team-id", &team, sharing, "--yes"]), typed)?;
    contains(&said, "Successfully created pod")?;
    Ok(said)
}

fn create_shared(walk: &mut Walk) -> Result<()> {
    let said = create(walk, "--share-with-team", b"")?;
    contains(&said, "All team members")?;
    let (_, rest) = said.split_once("Successfully created pod").context("no pod")?;
    let pod = rest.split_whitespace().next().unwrap_or_default();
    walk.server.pod_ready(pod, |_| ()).map(drop)
}

fn wallet(walk: &mut Walk) -> Result<()> {
    let team = team(walk)?;
    let of_team = ("PRIME_TEAM_ID", team.as_str());
    let wallet = json_of(&prime_with(walk, of_team, &["wallet", "--output", "json"])?)?;
    same(text(&wallet, "/team_id"), &team)?;
    let line = rows(&wallet, "/recent_billings").first().context(format!("no bill: {wallet}"))?;
    contains(&prime_with(walk, of_team, &["wallet"])?, text(line, "/resource_id"))?;
    contains(&walk.prime(&["wallet"])?, "personal")
}

fn create_for_members(walk: &mut Walk) -> Result<()> {
    contains(&create(walk, "--add-members", b"1\n")?, FRIEND)
}

fn list_of_friend(walk: &mut Walk) -> Result<()> {
    let key = fs::read_to_string(walk.home.join("friend.key"))?;
    let said = prime_with(walk, ("PRIME_API_KEY", &key), &["pods", "list", "--output", "json"])?;
    let list = json_of(&said)?;
    let pods: Vec<&str> = rows(&list, "/pods").iter().map(|row| text(row, "/id")).collect();
    same(&pods.len().to_string(), "2")?;
    for pod in pods {
        contains(&walk.prime(&["pods", "terminate", pod, "--yes"])?, "Successfully terminated")?;
        walk.server.pod_gone(pod)?;
    }
    Ok(())
}
