//! Credentials of registries. A password comes in, is sealed, and never comes out again but to the
//! registry that it is for.

use super::error::wrong_value;
use super::{Actor, App, Error};
use podbay_api::templates::AddRegistryCredentials;
use podbay_core::template::RegistryCredentials;
use podbay_core::{CredentialsId, UserId, limits};
use podbay_provider::Credentials;
use podbay_provider::reference::Reference;
use podbay_store::Tx;

/// The caller's credentials, oldest first.
///
/// # Errors
/// The database does not answer.
pub async fn credentials_list(app: &App, actor: &Actor) -> Result<Vec<RegistryCredentials>, Error> {
    Ok(app.store.reader().await?.credentials_list(&actor.user).await?)
}

/// Adds credentials.
///
/// # Errors
/// [`Error::Invalid`] for a server that is none; [`Error::Conflict`] when there are too many.
pub async fn credentials_add(
    app: &App,
    actor: &Actor,
    request: AddRegistryCredentials,
) -> Result<RegistryCredentials, Error> {
    let server = server(&request.server)?;
    let (id, now) = (app.chance.credentials_id(), app.now());
    let row = RegistryCredentials {
        password_sealed: app.vault.seal(id.as_str(), &request.password, app.chance.nonce())?,
        id,
        user_id: actor.user.clone(),
        name: request.name,
        server,
        username: request.username,
        created_at: now,
        updated_at: now,
    };
    let stored = app.write_once(actor, move |tx| {
        Box::pin(async move {
            if tx.credentials_list(&row.user_id).await?.len() >= limits::CREDENTIALS_MAX {
                let most = limits::CREDENTIALS_MAX;
                let text = format!("this account has {most} registry credentials already; delete some first");
                return Err(Error::Conflict(text));
            }
            tx.credentials_insert(&row).await?;
            Ok(row)
        })
    });
    stored.await
}

/// Deletes credentials. Templates keep naming them, and cannot be ordered until they name others.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn credentials_delete(app: &App, actor: &Actor, id: &str) -> Result<(), Error> {
    let id = CredentialsId::parse(id).ok_or(Error::NotFound)?;
    let user = actor.user.clone();
    let deleted = app
        .store
        .write(move |tx| Box::pin(async move { Ok::<_, Error>(tx.credentials_delete(&user, &id).await?) }));
    if deleted.await? { Ok(()) } else { Err(Error::NotFound) }
}

/// What a registry is told; `None` if the row was sealed with another installation's key.
pub(crate) fn reveal(app: &App, row: &RegistryCredentials) -> Option<Credentials> {
    let password = app.vault.open(row.id.as_str(), &row.password_sealed)?;
    Some(Credentials { username: row.username.clone(), password })
}

/// The credentials of that id, if they are the user's and for the registry of that image: a password
/// is sent nowhere else. `field` is where the id was named.
pub(super) async fn fitting(
    tx: &mut Tx,
    user: &UserId,
    id: &str,
    reference: &Reference,
    field: &str,
) -> Result<RegistryCredentials, Error> {
    let unknown = || Error::field(field, "no such registry credentials in this account");
    let id = CredentialsId::parse(id).ok_or_else(unknown)?;
    let row = tx.credentials_get(user, &id).await?.ok_or_else(unknown)?;
    if row.server == reference.registry {
        return Ok(row);
    }
    let text = format!("these are for {}, and the image is at {}", row.server, reference.registry);
    Err(Error::Invalid(vec![wrong_value(field, text)]))
}

/// A registry as it stands at the head of a complete reference. What people copy from log-in commands is
/// put right.
fn server(text: &str) -> Result<String, Error> {
    let bare = text.trim().trim_start_matches("https://").trim_end_matches('/');
    let bare = bare.strip_suffix("/v1").or(bare.strip_suffix("/v2")).unwrap_or(bare);
    let name = match bare {
        "index.docker.io" | "registry-1.docker.io" | "hub.docker.com" => "docker.io",
        other => other,
    };
    match Reference::parse(&format!("{name}/x")) {
        Ok(reference) if reference.registry == name && !reference.is_local() => Ok(name.to_owned()),
        _ => Err(Error::field(
            "body.server",
            "write the registry as it stands at the head of image references, as in registry.example.org:5000",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_is_a_host_and_perhaps_a_port() {
        for (text, expected) in [
            ("docker.io", "docker.io"),
            ("https://index.docker.io/v1/", "docker.io"),
            (" ghcr.io/ ", "ghcr.io"),
            ("registry.lab:5000", "registry.lab:5000"),
        ] {
            assert_eq!(server(text).unwrap(), expected);
        }
        for text in ["", "lab", "localhost", "ghcr.io/owner", "http://x.y", "a b.c", "x.y:port", "x.y:1:2"] {
            assert!(matches!(server(text), Err(Error::Invalid(_))), "{text:?}");
        }
    }
}
