//! `podbay whoami`.

use crate::context::Context;
use crate::failure::Result;
use crate::output::{details, or_none, time};
use podbay_api::users::{Access, WhoAmI};

/// Shows it.
pub async fn run(context: &mut Context<'_>) -> Result<()> {
    let user = context.client()?.whoami().await?;
    let (server, key) = (context.settings.url.clone(), context.settings.key_from.clone());
    context.show(&user, |user| text(user, server, key))
}

fn text(user: &WhoAmI, server: String, key: String) -> String {
    let mut text = details(&[
        ("user", or_none(user.name.as_ref())),
        ("email", or_none(user.email.as_ref())),
        ("id", user.id.clone()),
        ("role", user.role.to_string()),
        ("since", time(&user.created_at)),
        ("server", server),
        ("key", key),
    ]);
    text.push_str("\nThe key may:\n");
    let scopes: Vec<(&str, String)> =
        user.scope.iter().map(|(name, access)| (name.as_str(), level(*access).to_owned())).collect();
    let safe: Vec<(String, String)> =
        scopes.into_iter().map(|(name, level)| (crate::printable::line(name), level)).collect();
    text.push_str(&details(
        &safe.iter().map(|(name, level)| (name.as_str(), level.clone())).collect::<Vec<_>>(),
    ));
    text
}

fn level(access: Option<Access>) -> &'static str {
    match access {
        Some(Access { write: true, .. }) => "read and write",
        Some(Access { read: true, .. }) => "read",
        _ => "nothing",
    }
}
