//! `podbay wallet`.

use super::teams::find_team_id;
use crate::cli::Output;
use crate::context::Context;
use crate::failure::Result;
use crate::find;
use crate::output::{Rows, details, dollars, or_none, time};
use clap::{Args, Subcommand};
use podbay_api::billing::{AddCredit, BillingEntry, Wallet as Reply};
use podbay_core::limits;

/// Show what is left to spend, and what was billed
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Wallet {
    #[command(subcommand)]
    command: Option<Command>,
    /// Id, beginning of one, or name of a team [default: your own wallet]
    #[arg(long)]
    team: Option<String>,
    /// Most lines of the bill
    #[arg(long, default_value_t = limits::BILLING_LIMIT_DEFAULT, value_name = "ROWS")]
    limit: u32,
    /// Lines to skip
    #[arg(long, default_value_t = 0, value_name = "ROWS")]
    offset: u64,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Put money into a wallet; only the owner of the server may
    Credit {
        /// Dollars; a negative amount takes them out again
        #[arg(allow_negative_numbers = true)]
        dollars: f64,
        /// Id, beginning of one, or name of a user [default: yourself]
        #[arg(long, conflicts_with = "team")]
        user: Option<String>,
        /// Id of a team
        #[arg(long)]
        team: Option<String>,
        /// What for
        #[arg(long)]
        note: Option<String>,
    },
}

impl Wallet {
    /// Runs it.
    pub async fn run(self, context: &mut Context<'_>) -> Result<()> {
        let client = context.client()?;
        if let Some(Command::Credit { dollars: amount, user, team, note }) = self.command {
            let user_id = match user {
                Some(text) => Some(find::one(client.users().await?, &text, "user")?.id),
                None => None,
            };
            let credit = AddCredit { user_id, team_id: team, amount_usd: amount, note };
            let made = client.credit(&credit).await?;
            context.terminal.say(&format!("credited {}", dollars(made.amount_usd)));
            return context.show(&made, |made| details(&[("balance", dollars(made.balance_usd))]));
        }
        let team = match &self.team {
            Some(text) => Some(find_team_id(&client, text).await?),
            None => None,
        };
        let wallet = client.wallet(team.as_deref(), self.offset, self.limit).await?;
        context.show(&wallet, text)?;
        match context.output {
            Output::Json => Ok(()),
            Output::Table => context.list(&wallet.recent_billings, "nothing was billed", table),
        }
    }
}

fn text(wallet: &Reply) -> String {
    let text = details(&[
        ("wallet", wallet.wallet_id.clone()),
        ("team", or_none(wallet.team_id.as_ref())),
        ("balance", dollars(wallet.balance_usd)),
        ("billed", format!("{} resources", wallet.total_billings)),
    ]);
    if wallet.recent_billings.is_empty() { text } else { text + "\n" }
}

fn table(lines: &[BillingEntry]) -> Rows {
    let mut rows = Rows::new(&["RESOURCE", "TYPE", "AMOUNT", "FROM", "UNTIL"]);
    for line in lines {
        rows.push(vec![
            or_none(line.resource_id.as_ref()),
            line.resource_type.clone(),
            dollars(line.amount_usd),
            time(&line.created_at),
            or_none(line.last_billed_at.as_deref().map(time)),
        ]);
    }
    rows
}
