//! Who is in a team is let into its pods, and only for as long as they are.

use crate::harness::{Real, engine_wanted, until};
use crate::openssh::{active, key_pair, order, ssh};
use podbay_api::client::Client;
use podbay_api::pods::TeamRef;
use podbay_api::ssh_keys::AddSshKey;
use podbay_api::teams::{AcceptInvitation, CreateTeam, Invite};
use podbay_api::users::CreateUser;
use std::time::{Duration, Instant};

/// How long it may take until a pod follows its team.
const FOLLOWS_WITHIN: Duration = Duration::from_secs(1);

#[tokio::test]
async fn the_keys_in_a_teams_pod_follow_its_members() {
    if !engine_wanted() {
        return;
    }
    let real = Real::start();
    let owner = real.client();
    let team = owner.team_create(&CreateTeam { name: "crew".into(), slug: None }).await.unwrap().team_id;
    let mut shared = order("shared");
    (shared.team, shared.shared_with_team) = (Some(TeamRef { team_id: team.clone() }), true);
    let pod = owner.pod_create(&shared).await.unwrap().id;
    let connection = active(&owner, &pod).await;

    let friend = CreateUser { name: "friend".into(), email: "friend@example.org".into() };
    let made = owner.user_create(&friend).await.unwrap();
    let friend = Client::new(owner.base(), Some(&made.key)).unwrap();
    let identity = key_pair(real.folder(), "friend");
    let public_key = std::fs::read_to_string(identity.with_extension("pub")).unwrap();
    friend.ssh_key_add(&AddSshKey { name: "friend".into(), public_key }).await.unwrap();
    assert_eq!(ssh(&identity, &connection, "true").status.code(), Some(255), "not yet a member");

    let invited = owner.invite(&team, &Invite { role: None, email: None, expires_in_hours: None }).await;
    let nobody_new = AcceptInvitation { name: None, email: None };
    let joined = friend.invitation_accept(&invited.unwrap().code, &nobody_new).await.unwrap();
    let begin = Instant::now();
    until("the key of who has joined works", FOLLOWS_WITHIN, async || {
        ssh(&identity, &connection, "true").status.success().then_some(())
    })
    .await;
    eprintln!("let in {:?} after joining, a call of ssh included", begin.elapsed());

    owner.team_remove(&team, &joined.user_id).await.unwrap();
    let begin = Instant::now();
    until("the key of who was removed is refused", FOLLOWS_WITHIN, async || {
        (!ssh(&identity, &connection, "true").status.success()).then_some(())
    })
    .await;
    eprintln!("refused {:?} after the removal, a call of ssh included", begin.elapsed());
    owner.pod_delete(&pod).await.unwrap();
}
