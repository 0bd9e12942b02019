//! Teams, who sees what, whose keys are where, and what is owed.

use crate::harness::{Db, at, both, pod, pod_id, user};
use podbay_core::pod::{Pod, Sharing};
use podbay_core::published::TeamRole::{self, Admin, Member};
use podbay_core::usage::{UsageState, billed};
use podbay_core::{CreditId, InvitationId, Micros, Owner, PodId, SshKeyId, TeamId, UserId};
use podbay_store::{Credit, Door, HistorySort, Invitation, SshKeyRecord, StoreError, Team};

fn team(number: u128) -> TeamId {
    TeamId::from_bits(1000 + number)
}

async fn team_make(db: &Db, number: u128, slug: Option<&str>, members: &[(u128, TeamRole)]) {
    let (slug, members) = (slug.map(str::to_owned), members.to_vec());
    db.write(move |tx| {
        Box::pin(async move {
            let made = Team {
                id: team(number),
                name: format!("team {number}"),
                slug,
                created_at: at(number as i64),
            };
            tx.team_insert(&made).await?;
            for (member, role) in members {
                tx.member_insert(&made.id, &user(member), role, at(member as i64)).await?;
            }
            Ok(())
        })
    })
    .await
    .unwrap();
}

async fn pod_make(db: &Db, pod: Pod, sharing: Sharing) {
    db.write(move |tx| {
        Box::pin(async move {
            tx.pod_insert(&pod).await?;
            tx.pod_share(&pod.id, &sharing).await
        })
    })
    .await
    .unwrap();
}

/// The pod `number` that `maker` has made for a team.
fn team_pod(number: u128, maker: u128, owner: u128, created: i64) -> Pod {
    Pod { team_id: Some(team(owner)), ..pod(number, maker, created) }
}

async fn leave(db: &Db, number: u128, member: u128) -> bool {
    db.write(move |tx| Box::pin(async move { tx.member_delete(&team(number), &user(member)).await }))
        .await
        .unwrap()
}

#[tokio::test]
async fn a_team_is_listed_to_its_members_until_it_ends() {
    for db in both().await {
        db.furnish().await;
        team_make(&db, 2, None, &[(1, Admin), (2, Member)]).await;
        team_make(&db, 1, Some("one"), &[(1, Member)]).await;
        let mut tx = db.reader().await;
        let mine = tx.team_list(&user(1), 0, 10).await.unwrap();
        let short: Vec<_> = mine.items.iter().map(|item| (item.team.id.clone(), item.role)).collect();
        assert_eq!(short, [(team(1), Member), (team(2), Admin)], "{}", db.kind);
        assert_eq!(tx.team_list(&user(1), 1, 1).await.unwrap().items, mine.items[1..]);
        assert_eq!(mine.total, 2);
        assert_eq!(tx.team_of(&team(1), &user(1)).await.unwrap(), Some(mine.items[0].clone()));
        assert_eq!(tx.team_of(&team(1), &user(2)).await.unwrap(), None);
        let members = tx.member_list(&team(2), 0, 10).await.unwrap();
        let short: Vec<_> = members.items.iter().map(|member| (member.name.as_str(), member.role)).collect();
        assert_eq!((short, members.total), (vec![("user 1", Admin), ("user 2", Member)], 2));
        assert_eq!(tx.member_count(&team(2), Admin).await.unwrap(), 1);
        drop(tx);

        let twin = Team { id: team(3), name: "x".into(), slug: Some("one".into()), created_at: at(0) };
        let refused = db.write(move |tx| Box::pin(async move { tx.team_insert(&twin).await })).await;
        assert!(matches!(refused, Err(StoreError::Conflict(_))), "{}: {refused:?}", db.kind);
        let again =
            db.write(|tx| Box::pin(async move { tx.member_insert(&team(1), &user(1), Admin, at(9)).await }));
        assert!(matches!(again.await, Err(StoreError::Conflict(_))), "{}: joined twice", db.kind);
        let set = |member| {
            db.write(move |tx| {
                Box::pin(async move { tx.member_set_role(&team(1), &user(member), Admin).await })
            })
        };
        assert!(set(1).await.unwrap() && !set(2).await.unwrap(), "{}", db.kind);

        db.write(|tx| Box::pin(async move { tx.team_delete(&team(2)).await })).await.unwrap();
        let mut tx = db.reader().await;
        assert_eq!(tx.team_get(&team(2)).await.unwrap(), None);
        assert_eq!(tx.team_list(&user(2), 0, 10).await.unwrap().total, 0, "{}", db.kind);
        assert_eq!(tx.team_get(&team(1)).await.unwrap().unwrap().slug.as_deref(), Some("one"));
    }
}

#[tokio::test]
async fn an_invitation_is_found_by_its_hash_and_taken_once() {
    for db in both().await {
        db.furnish().await;
        team_make(&db, 1, None, &[(1, Admin)]).await;
        let invitation = Invitation {
            id: InvitationId::from_bits(5),
            team_id: team(1),
            invited_by: user(1),
            role: Member,
            email: Some("a@b".into()),
            expires_at: at(99),
            created_at: at(1),
        };
        let stored = invitation.clone();
        db.write(move |tx| Box::pin(async move { tx.invitation_insert(&stored, &[7; 32]).await }))
            .await
            .unwrap();
        let mut tx = db.reader().await;
        assert_eq!(tx.invitation_find(&[7; 32]).await.unwrap(), Some(invitation.clone()), "{}", db.kind);
        assert_eq!(tx.invitation_find(&[8; 32]).await.unwrap(), None);
        assert_eq!(tx.invitation_list(&team(1)).await.unwrap(), [invitation]);
        assert_eq!(tx.invitation_list(&team(2)).await.unwrap(), []);
        drop(tx);
        let take = |number| {
            db.write(move |tx| {
                Box::pin(
                    async move { tx.invitation_delete(&team(number), &InvitationId::from_bits(5)).await },
                )
            })
        };
        assert!(!take(2).await.unwrap(), "{}: only its team's", db.kind);
        assert!(take(1).await.unwrap() && !take(1).await.unwrap(), "{}", db.kind);
    }
}

#[tokio::test]
async fn lists_have_what_is_personal_and_what_is_of_ones_teams() {
    for db in both().await {
        db.furnish().await;
        team_make(&db, 1, None, &[(1, Admin), (2, Member)]).await;
        team_make(&db, 2, None, &[(2, Admin)]).await;
        for number in 1..=24 {
            let made = match number % 4 {
                0 => pod(number, 1, (number / 2) as i64),
                1 => team_pod(number, 2, 1, (number / 2) as i64),
                2 => team_pod(number, 2, 2, (number / 2) as i64),
                _ => pod(number, 2, (number / 2) as i64),
            };
            let ended = (number > 12).then(|| at(500 - number as i64));
            pod_make(&db, Pod { terminated_at: ended, ..made }, Sharing::Nobody).await;
        }
        let ids = |pods: &[Pod]| pods.iter().map(|pod| pod.id.clone()).collect::<Vec<_>>();
        let seen: Vec<PodId> = [12, 9, 8, 5, 4, 1].map(pod_id).to_vec();
        let mut tx = db.reader().await;
        let live = tx.pod_list_live(&user(1), 0, 100).await.unwrap();
        assert_eq!((ids(&live.items), live.total), (seen.clone(), 6), "{}", db.kind);
        let mut paged = Vec::new();
        for offset in (0..8).step_by(2) {
            paged.extend(ids(&tx.pod_list_live(&user(1), offset, 2).await.unwrap().items));
        }
        assert_eq!(paged, seen, "{}", db.kind);
        let marks = tx.pod_marks(&user(1)).await.unwrap();
        assert_eq!(marks.into_iter().map(|(id, _)| id).collect::<Vec<_>>(), seen, "{}", db.kind);
        let asked: Vec<PodId> = (1..=24).map(pod_id).collect();
        let by_id = ids(&tx.pod_list_by_ids(&user(1), &asked).await.unwrap());
        assert_eq!(by_id, [1, 4, 5, 8, 9, 12].map(pod_id), "{}", db.kind);
        let marks = tx.pod_marks_by_ids(&user(1), &asked).await.unwrap();
        assert_eq!(marks.into_iter().map(|(id, _)| id).collect::<Vec<_>>(), by_id, "{}", db.kind);
        for sort in [HistorySort::CreatedAt, HistorySort::TerminatedAt] {
            for descending in [true, false] {
                let page = tx.pod_list_history(&user(1), sort, descending, 1, 4).await.unwrap();
                let rising = descending == (sort == HistorySort::TerminatedAt);
                let expected = if rising { [16, 17, 20, 21] } else { [21, 20, 17, 16] };
                assert_eq!((ids(&page.items), page.total), (expected.map(pod_id).to_vec(), 6), "{}", db.kind);
            }
        }
        assert_eq!(tx.pod_list_live(&user(2), 0, 100).await.unwrap().total, 9, "{}", db.kind);
        assert!(tx.pod_get_seen(&user(1), &pod_id(1)).await.unwrap().is_some());
        assert!(tx.pod_get_seen(&user(1), &pod_id(2)).await.unwrap().is_none());
        assert!(tx.team_has_live(&team(2)).await.unwrap() && !tx.team_has_live(&team(3)).await.unwrap());
        drop(tx);

        assert!(leave(&db, 1, 2).await && !leave(&db, 1, 2).await);
        let mut tx = db.reader().await;
        assert!(
            tx.pod_get_seen(&user(2), &pod_id(1)).await.unwrap().is_none(),
            "{}: not even its maker",
            db.kind
        );
        assert_eq!(tx.pod_list_live(&user(2), 0, 100).await.unwrap().total, 6, "{}", db.kind);
    }
}

async fn keys(db: &Db, pod: &Pod) -> Vec<u128> {
    let keys = db.reader().await.ssh_keys_of_pods(&[Door::of(pod)]).await.unwrap().remove(0);
    keys.iter().map(|key| key.name.parse().unwrap()).collect()
}

#[tokio::test]
async fn keys_follow_sharing_and_membership() {
    for db in both().await {
        db.furnish().await;
        db.write(|tx| {
            Box::pin(async move {
                for number in 3..=4 {
                    let template = tx.user_get(&user(1)).await?.unwrap();
                    let name = format!("user {number}");
                    tx.user_insert(&podbay_store::User { id: user(number), name, ..template }).await?;
                }
                for number in 1..=4 {
                    let key = SshKeyRecord {
                        id: SshKeyId::from_bits(number),
                        user_id: user(number),
                        name: number.to_string(),
                        public_key: format!("ssh-ed25519 {number}"),
                        fingerprint: format!("SHA256:{number}"),
                        is_primary: true,
                        created_at: at(number as i64),
                        updated_at: at(0),
                    };
                    tx.ssh_key_insert(&key).await?;
                }
                Ok(())
            })
        })
        .await
        .unwrap();
        team_make(&db, 1, None, &[(1, Admin), (2, Member), (3, Member)]).await;
        let (personal, own, all, some) =
            (pod(1, 1, 1), team_pod(2, 2, 1, 2), team_pod(3, 2, 1, 3), team_pod(4, 2, 1, 4));
        pod_make(&db, personal.clone(), Sharing::Nobody).await;
        pod_make(&db, own.clone(), Sharing::Nobody).await;
        pod_make(&db, all.clone(), Sharing::Team).await;
        pod_make(&db, some.clone(), Sharing::Members(vec![user(3)])).await;
        assert_eq!(keys(&db, &personal).await, [1], "{}", db.kind);
        assert_eq!(keys(&db, &own).await, [2], "{}: seen by all, entered by its maker", db.kind);
        assert_eq!(keys(&db, &all).await, [1, 2, 3], "{}", db.kind);
        assert_eq!(keys(&db, &some).await, [2, 3], "{}", db.kind);
        let pods = [&personal, &own, &personal, &some].map(Door::of);
        let together = db.reader().await.ssh_keys_of_pods(&pods).await.unwrap();
        assert_eq!(together.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1, 1, 2], "{}", db.kind);

        db.write(|tx| {
            Box::pin(async move { tx.pod_choose_ssh_key(&pod_id(1), &SshKeyId::from_bits(9)).await })
        })
        .await
        .unwrap();
        db.write(|tx| {
            Box::pin(async move { tx.pod_choose_ssh_key(&pod_id(4), &SshKeyId::from_bits(2)).await })
        })
        .await
        .unwrap();
        assert_eq!(keys(&db, &personal).await, [], "{}: the chosen one is gone", db.kind);
        assert_eq!(keys(&db, &some).await, [2, 3], "{}: others' keys are not chosen from", db.kind);

        let with_keys = async |owner: UserId| {
            let mut ids = db.reader().await.pod_ids_of_user(&owner).await.unwrap();
            ids.sort_unstable();
            ids
        };
        assert_eq!(with_keys(user(1)).await, [1, 3].map(pod_id), "{}", db.kind);
        assert_eq!(with_keys(user(2)).await, [2, 3, 4].map(pod_id), "{}", db.kind);
        assert_eq!(with_keys(user(3)).await, [3, 4].map(pod_id), "{}", db.kind);
        assert_eq!(with_keys(user(4)).await, [], "{}", db.kind);
        assert_eq!(db.reader().await.pod_ids_of_team(&team(1)).await.unwrap().len(), 3);

        for member in [2, 3] {
            assert!(leave(&db, 1, member).await);
        }
        assert_eq!(keys(&db, &own).await, [], "{}: nor its maker's, who has left", db.kind);
        assert_eq!(keys(&db, &all).await, [1], "{}", db.kind);
        assert_eq!(keys(&db, &some).await, [], "{}", db.kind);
    }
}

#[tokio::test]
async fn a_bill_is_of_one_owner_and_adds_up() {
    const HOUR: i64 = 3_600_000;
    for db in both().await {
        db.furnish().await;
        team_make(&db, 1, None, &[(1, Admin)]).await;
        for made in [pod(1, 1, 1), pod(2, 1, 2), team_pod(3, 1, 1, 3), pod(4, 1, 4)] {
            pod_make(&db, made, Sharing::Nobody).await;
        }
        // Pod 4 was never ready; pod 2 still runs; the clock has jumped back before pod 1's second start.
        let spans =
            [(1, 2, 0, Some(HOUR)), (1, 3, 9 * HOUR, None), (2, 2, HOUR, None), (3, 7, 0, Some(2 * HOUR))];
        for (number, dollars, start, end) in spans {
            db.write(move |tx| {
                Box::pin(async move {
                    let price = Micros(dollars * 1_000_000);
                    tx.usage_open(&pod_id(number), UsageState::Running, price, at(start)).await?;
                    if let Some(end) = end {
                        tx.usage_close(&pod_id(number), at(end)).await?;
                    }
                    Ok(())
                })
            })
            .await
            .unwrap();
        }
        let (mine, teams, now) = (Owner::User(user(1)), Owner::Team(team(1)), at(4 * HOUR));
        let mut tx = db.reader().await;
        let owed = billed(&tx.usage_by_price(&mine, now).await.unwrap());
        assert_eq!(owed, Micros(2_000_000 + 3 * 2_000_000), "{}: one hour, and three", db.kind);
        assert_eq!(billed(&tx.usage_by_price(&teams, now).await.unwrap()), Micros(14_000_000), "{}", db.kind);
        let page = tx.billing_list(&mine, now, 0, 10).await.unwrap();
        let rows: Vec<_> =
            page.items.iter().map(|row| (row.resource.clone(), row.first_at, row.last_at)).collect();
        assert_eq!(
            rows,
            [(pod_id(1).to_string(), at(0), now), (pod_id(2).to_string(), at(HOUR), now)],
            "{}",
            db.kind
        );
        assert_eq!(page.total, 2, "{}", db.kind);
        assert_eq!(tx.billing_list(&mine, now, 1, 1).await.unwrap().items, page.items[1..]);
        let beyond = tx.billing_list(&mine, now, 2, 1).await.unwrap();
        assert_eq!((beyond.items.len(), beyond.total), (0, 2), "{}", db.kind);
        assert_eq!(tx.credit_sum(&mine).await.unwrap(), Micros(0));
        drop(tx);
        db.write(|tx| {
            Box::pin(async move {
                for (number, amount) in [(1, 5_000_000), (2, -2_000_000)] {
                    let credit = Credit {
                        id: CreditId::from_bits(number),
                        owner: Owner::User(user(1)),
                        amount: Micros(amount),
                        note: "n".into(),
                        made_by: user(2),
                        created_at: at(0),
                    };
                    tx.credit_insert(&credit).await?;
                }
                Ok(())
            })
        })
        .await
        .unwrap();
        let mut tx = db.reader().await;
        assert_eq!(tx.credit_sum(&mine).await.unwrap(), Micros(3_000_000), "{}", db.kind);
        assert_eq!(tx.credit_sum(&teams).await.unwrap(), Micros(0), "{}", db.kind);
    }
}

#[tokio::test]
async fn slugs_of_users_are_unique() {
    for db in both().await {
        db.furnish().await;
        let set = |number| {
            db.write(move |tx| Box::pin(async move { tx.user_set_slug(&user(number), "ada").await }))
        };
        set(1).await.unwrap();
        set(1).await.unwrap();
        assert!(matches!(set(2).await, Err(StoreError::Conflict(_))), "{}", db.kind);
        assert_eq!(db.reader().await.user_get(&user(1)).await.unwrap().unwrap().slug.as_deref(), Some("ada"));
    }
}
