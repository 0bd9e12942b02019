//! `podbay login-approve`.

use super::api_keys::{scope, scopes, sum};
use crate::clock;
use crate::context::Context;
use crate::failure::Result;
use crate::output::{details, or_none, time};
use clap::Args;
use podbay_api::logins::{ApproveLogin, RefuseLogin};
use podbay_core::LoginCode;
use podbay_core::permission::{Level, Scope};
use std::time::Duration;

/// Let a program that shows this code have an API key of yours
#[derive(Debug, Args)]
pub struct LoginApprove {
    /// The code that the program shows; approve only what you have started yourself
    #[arg(value_parser = code)]
    code: LoginCode,
    /// What the key may do, as in instances=write; may be given several times [default: all that yours may]
    #[arg(long = "scope", value_name = "SCOPE=LEVEL", value_parser = scope)]
    scopes: Vec<(Scope, Level)>,
    /// How long the key is valid, as in 30d or 12h [default: until it is revoked]
    #[arg(long, value_name = "DURATION", value_parser = crate::wait::duration)]
    expires_in: Option<Duration>,
    /// Refuse it instead
    #[arg(long, conflicts_with_all = ["scopes", "expires_in"])]
    refuse: bool,
}

fn code(text: &str) -> std::result::Result<LoginCode, String> {
    LoginCode::parse(text).ok_or_else(|| "write it as it is shown, as in 7K2M-Q9TD-40XB".to_owned())
}

impl LoginApprove {
    /// Runs it.
    pub async fn run(self, context: &mut Context<'_>) -> Result<()> {
        let client = context.client()?;
        if self.refuse {
            client.login_refuse(&RefuseLogin { challenge: self.code }).await?;
            context.terminal.say("refused; nobody gets a key");
            return Ok(());
        }
        let approval = ApproveLogin {
            challenge: self.code,
            scopes: (!self.scopes.is_empty()).then(|| sum(&self.scopes)),
            expires_at: self.expires_in.map(|duration| clock::now().plus(duration)),
        };
        let key = client.login_approve(&approval).await?;
        context.terminal.say("approved; the program has its key within seconds");
        context.show(&key, |key| {
            details(&[
                ("id", key.id.clone()),
                ("name", key.name.clone()),
                ("scopes", scopes(key)),
                ("expires", or_none(key.expires_at.as_deref().map(time))),
            ])
        })
    }
}
