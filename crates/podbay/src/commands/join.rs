//! `podbay join`.

use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::printable;
use clap::Args;
use podbay_api::client::Client;
use podbay_api::teams::AcceptInvitation;

/// What stands before the code in a link.
const HEAD: &str = "/api/v1/invitations/";

/// Accept an invitation into a team
#[derive(Debug, Args)]
pub struct Join {
    /// The link that you were given, or the code in it
    invitation: String,
    /// Name of your new account; without one you join with the key that you have
    #[arg(long)]
    name: Option<String>,
    /// Mail address of your new account [default: that of the invitation]
    #[arg(long, value_name = "ADDRESS", requires = "name")]
    email: Option<String>,
}

impl Join {
    /// Runs it.
    pub async fn run(self, context: &mut Context<'_>) -> Result<()> {
        let (server, code) = parts(self.invitation.trim());
        let client = match (&self.name, server) {
            (None, None) => context.client()?,
            // The key belongs to the server of the settings, whatever a link says.
            (None, Some(server)) if same(server, &context.settings.url) => context.client()?,
            (None, Some(server)) => {
                return Err(Failure::usage(format!(
                    "the link is of {server}, and your key of another server"
                ))
                .hint("make a new account there with --name, or choose that server with --url"));
            }
            (Some(_), server) => Client::new(server.unwrap_or(&context.settings.url), None)?,
        };
        let who = AcceptInvitation { name: self.name, email: self.email };
        let joined = client.invitation_accept(code, &who).await.map_err(|error| {
            let unknown = error.status() == Some(404);
            let failure = Failure::from(error);
            if unknown {
                failure.hint("the invitation is used, expired or revoked; ask for another")
            } else {
                failure
            }
        })?;
        context.terminal.say(&format!("joined team {} ({})", joined.team.name, joined.team.team_id));
        if joined.key.is_some() {
            context.terminal.say("keep this key: it is shown this one time");
        }
        context.show(&joined, |joined| {
            joined.key.as_ref().map_or_else(String::new, |key| format!("{}\n", printable::line(key)))
        })
    }
}

/// The server of a link, if it names one, and the code.
fn parts(text: &str) -> (Option<&str>, &str) {
    let (server, code) = match text.split_once(HEAD) {
        Some((server, code)) => (Some(server).filter(|server| !server.is_empty()), code),
        None => (None, text),
    };
    (server, code.trim_end_matches('/').trim_end_matches("/accept"))
}

fn same(one: &str, other: &str) -> bool {
    let bare = |url: &str| url.trim_end_matches('/').trim_end_matches("/api/v1").to_ascii_lowercase();
    bare(one) == bare(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_taken_apart() {
        for (text, server, code) in [
            ("abc", None, "abc"),
            ("/api/v1/invitations/abc/accept", None, "abc"),
            ("http://h:1/api/v1/invitations/abc/accept", Some("http://h:1"), "abc"),
            ("https://h/below/api/v1/invitations/abc/accept/", Some("https://h/below"), "abc"),
        ] {
            assert_eq!(parts(text), (server, code), "{text}");
        }
        assert!(same("http://H:1/", "http://h:1/api/v1/") && !same("http://h:1", "http://h:2"));
    }
}
