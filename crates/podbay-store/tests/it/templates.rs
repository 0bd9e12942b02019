//! Templates, and credentials of registries.

use crate::harness::{at, both, user};
use podbay_core::pod::{NamedPort, PortSpec};
use podbay_core::published::{Protocol, UsedBy};
use podbay_core::template::{RegistryCredentials, Template};
use podbay_core::{CredentialsId, TemplateId};

fn template(number: u128, owner: u128) -> Template {
    let port = PortSpec { number: 8000, protocol: Protocol::Tcp };
    let description = Some("the page".to_owned());
    Template {
        id: TemplateId::from_bits(number),
        user_id: user(owner),
        team_id: None,
        name: format!("template {number}"),
        image: "docker.io/library/ubuntu:24.04".into(),
        command: Some(vec!["sleep".into(), "inf \" é".into()]),
        env: vec![("B".into(), "2".into()), ("A".into(), String::new())],
        ports: vec![NamedPort { port, used_by: Some(UsedBy::WebServer), description }],
        credentials: Some(CredentialsId::from_bits(7)),
        created_at: at(number as i64),
        updated_at: at(number as i64),
    }
}

#[tokio::test]
async fn templates_are_kept_whole_changed_and_deleted_by_their_owner_only() {
    for db in both().await {
        db.furnish().await;
        db.write(|tx| {
            Box::pin(async move {
                for (number, owner) in [(1, 1), (2, 1), (3, 2)] {
                    tx.template_insert(&template(number, owner)).await?;
                }
                Ok::<_, podbay_store::StoreError>(())
            })
        })
        .await
        .unwrap();
        let mut tx = db.reader().await;
        let first = TemplateId::from_bits(1);
        assert_eq!(tx.template_get(&user(1), &first).await.unwrap(), Some(template(1, 1)), "{}", db.kind);
        assert_eq!(tx.template_get(&user(2), &first).await.unwrap(), None);
        let page = tx.template_list(&user(1), 1, 5).await.unwrap();
        assert_eq!((page.total, page.items), (2, vec![template(2, 1)]));
        drop(tx);

        let bare = Template {
            name: "bare".into(),
            command: None,
            env: Vec::new(),
            ports: Vec::new(),
            credentials: None,
            updated_at: at(9),
            ..template(1, 1)
        };
        let change = bare.clone();
        assert!(
            db.write(move |tx| Box::pin(async move { tx.template_update(&change).await })).await.unwrap()
        );
        assert_eq!(db.reader().await.template_get(&user(1), &first).await.unwrap(), Some(bare));
        for (owner, expected) in [(2, false), (1, true), (1, false)] {
            let id = first.clone();
            let deleted = db.write(move |tx| {
                Box::pin(async move { tx.template_delete(&user(owner), &id, at(10)).await })
            });
            assert_eq!(deleted.await.unwrap(), expected, "{}", db.kind);
        }
        let gone = template(1, 1);
        assert!(!db.write(move |tx| Box::pin(async move { tx.template_update(&gone).await })).await.unwrap());
        assert_eq!(db.reader().await.template_get(&user(1), &first).await.unwrap(), None);
        assert_eq!(db.reader().await.template_list(&user(1), 0, 5).await.unwrap().total, 1);
    }
}

#[tokio::test]
async fn credentials_of_registries_are_the_owners_alone() {
    for db in both().await {
        db.furnish().await;
        let kept = RegistryCredentials {
            id: CredentialsId::from_bits(1),
            user_id: user(1),
            name: "lab".into(),
            server: "registry.lab:5000".into(),
            username: "ada".into(),
            password_sealed: "sealed".into(),
            created_at: at(1),
            updated_at: at(2),
        };
        let (row, id) = (kept.clone(), kept.id.clone());
        db.write(move |tx| Box::pin(async move { tx.credentials_insert(&row).await })).await.unwrap();
        let mut tx = db.reader().await;
        assert_eq!(tx.credentials_list(&user(1)).await.unwrap(), vec![kept.clone()], "{}", db.kind);
        assert_eq!(tx.credentials_list(&user(2)).await.unwrap(), []);
        assert_eq!(tx.credentials_get(&user(1), &id).await.unwrap(), Some(kept));
        assert_eq!(tx.credentials_get(&user(2), &id).await.unwrap(), None);
        drop(tx);
        for (owner, expected) in [(2, false), (1, true), (1, false)] {
            let id = id.clone();
            let deleted =
                db.write(move |tx| Box::pin(async move { tx.credentials_delete(&user(owner), &id).await }));
            assert_eq!(deleted.await.unwrap(), expected, "{}", db.kind);
        }
    }
}
