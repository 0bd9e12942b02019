//! Calls about users, teams, money and keys.

use super::calls::{NOTHING, part};
use super::{Client, Error};
use crate::Empty;
use crate::api_keys::{ApiKey, ApiKeyCreated, CreateApiKey};
use crate::audit::AuditReport;
use crate::billing::{AddCredit, Credit, Wallet};
use crate::logins::{ApproveLogin, BeginLogin, LoginBegun, LoginStatus, RefuseLogin};
use crate::page::Data;
use crate::teams::{
    AcceptInvitation, CreateTeam, Invitation, InvitationCreated, Invite, Joined, Member, SetRole, Team,
    UpdateTeam,
};
use crate::users::{CreateUser, SetSlug, UserCreated, WhoAmI};
use reqwest::Method;

impl Client {
    /// Who the key belongs to, and what it may do.
    pub async fn whoami(&self) -> Result<WhoAmI, Error> {
        Ok(self.get::<Data<WhoAmI>>(&["user", "whoami"], &[]).await?.data)
    }

    /// The same in the name of a team that the user must be in.
    pub async fn whoami_in(&self, team: &str) -> Result<WhoAmI, Error> {
        Ok(self.get::<Data<WhoAmI>>(&["user", "whoami"], &[("teamId", team.to_owned())]).await?.data)
    }

    /// Gives the caller a name in addresses.
    pub async fn user_set_slug(&self, slug: &SetSlug) -> Result<WhoAmI, Error> {
        Ok(self.call::<Data<WhoAmI>>(Method::PATCH, &["user", "slug"], &[], Some(slug)).await?.data)
    }

    /// What the server's own auditor finds now; for the owner of the installation.
    pub async fn audit(&self) -> Result<AuditReport, Error> {
        self.get(&["audit"], &[]).await
    }

    /// Makes a user.
    pub async fn user_create(&self, user: &CreateUser) -> Result<UserCreated, Error> {
        self.call(Method::POST, &["users"], &[], Some(user)).await
    }

    /// Makes a team.
    ///
    /// ```no_run
    /// use podbay_api::teams::{CreateTeam, Invite};
    ///
    /// # async fn example(client: podbay_api::client::Client) -> Result<(), podbay_api::client::Error> {
    /// let team = client.team_create(&CreateTeam { name: "research".into(), slug: None }).await?;
    /// let invite = Invite { role: None, email: None, expires_in_hours: Some(24) };
    /// println!("podbay join {}", client.invite(&team.team_id, &invite).await?.code);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn team_create(&self, team: &CreateTeam) -> Result<Team, Error> {
        self.call(Method::POST, &["teams"], &[], Some(team)).await
    }

    /// Changes a team.
    pub async fn team_update(&self, id: &str, change: &UpdateTeam) -> Result<Team, Error> {
        self.call(Method::PATCH, &["teams", id], &[], Some(change)).await
    }

    /// Deletes a team.
    pub async fn team_delete(&self, id: &str) -> Result<(), Error> {
        self.call::<Empty>(Method::DELETE, &["teams", id], &[], NOTHING).await.map(|_| ())
    }

    /// Gives a member another role.
    pub async fn team_set_role(&self, id: &str, user: &str, role: &SetRole) -> Result<Member, Error> {
        self.call(Method::PATCH, &["teams", id, "members", user], &[], Some(role)).await
    }

    /// Removes a member.
    pub async fn team_remove(&self, id: &str, user: &str) -> Result<(), Error> {
        self.call::<Empty>(Method::DELETE, &["teams", id, "members", user], &[], NOTHING).await.map(|_| ())
    }

    /// A team's invitations that wait to be accepted.
    pub async fn invitations(&self, team: &str) -> Result<Vec<Invitation>, Error> {
        Ok(self.get::<Data<Vec<Invitation>>>(&["teams", team, "invitations"], &[]).await?.data)
    }

    /// Invites somebody into a team.
    pub async fn invite(&self, team: &str, invite: &Invite) -> Result<InvitationCreated, Error> {
        self.call(Method::POST, &["teams", team, "invitations"], &[], Some(invite)).await
    }

    /// Revokes an invitation.
    pub async fn invitation_revoke(&self, team: &str, id: &str) -> Result<(), Error> {
        self.call::<Empty>(Method::DELETE, &["teams", team, "invitations", id], &[], NOTHING)
            .await
            .map(|_| ())
    }

    /// Accepts an invitation: as the user of the key, or, without a key, as a new user.
    pub async fn invitation_accept(&self, code: &str, who: &AcceptInvitation) -> Result<Joined, Error> {
        self.call(Method::POST, &["invitations", code, "accept"], &[], Some(who)).await
    }

    /// The caller's wallet, or a team's, with a part of the bill.
    pub async fn wallet(&self, team: Option<&str>, offset: u64, limit: u32) -> Result<Wallet, Error> {
        let mut query = part(offset, limit);
        query.extend(team.map(|team| ("teamId", team.to_owned())));
        self.get(&["billing", "wallet"], &query).await
    }

    /// Puts money into a wallet.
    pub async fn credit(&self, credit: &AddCredit) -> Result<Credit, Error> {
        self.call(Method::POST, &["billing", "credits"], &[], Some(credit)).await
    }

    /// The account's API keys, revoked ones included.
    pub async fn api_keys(&self) -> Result<Vec<ApiKey>, Error> {
        Ok(self.get::<Data<Vec<ApiKey>>>(&["api_keys"], &[]).await?.data)
    }

    /// Makes an API key.
    pub async fn api_key_create(&self, key: &CreateApiKey) -> Result<ApiKeyCreated, Error> {
        self.call(Method::POST, &["api_keys"], &[], Some(key)).await
    }

    /// Begins a login. Needs no key.
    ///
    /// ```no_run
    /// use podbay_api::client::Client;
    /// use podbay_api::logins::BeginLogin;
    ///
    /// # async fn example(encryption_public_key: String) -> Result<(), podbay_api::client::Error> {
    /// let server = "http://127.0.0.1:8080";
    /// let request = BeginLogin { encryption_public_key, limits: None };
    /// let begun = Client::new(server, None)?.login_begin(&request).await?;
    /// println!("approve it: podbay login-approve {}", begun.challenge);
    /// let login = Client::new(server, Some(&begun.status_auth_token))?;
    /// let sealed = login.login_status(&begun.challenge).await?.result;
    /// println!("{}", if sealed.is_some() { "approved" } else { "ask again in a moment" });
    /// # Ok(())
    /// # }
    /// ```
    pub async fn login_begin(&self, request: &BeginLogin) -> Result<LoginBegun, Error> {
        self.call(Method::POST, &["auth_challenge", "generate"], &[], Some(request)).await
    }

    /// How a login went. The key of this client must be the login's own token.
    pub async fn login_status(&self, challenge: &str) -> Result<LoginStatus, Error> {
        self.get(&["auth_challenge", "status"], &[("challenge", challenge.to_owned())]).await
    }

    /// Approves a login: the API key that was made for it, without its secret.
    pub async fn login_approve(&self, approval: &ApproveLogin) -> Result<ApiKey, Error> {
        self.call(Method::POST, &["auth_challenge", "approve"], &[], Some(approval)).await
    }

    /// Refuses a login.
    pub async fn login_refuse(&self, refusal: &RefuseLogin) -> Result<(), Error> {
        self.call::<Empty>(Method::POST, &["auth_challenge", "refuse"], &[], Some(refusal)).await.map(|_| ())
    }

    /// Revokes an API key.
    pub async fn api_key_revoke(&self, id: &str) -> Result<(), Error> {
        self.call::<Empty>(Method::DELETE, &["api_keys", id], &[], NOTHING).await.map(|_| ())
    }
}
