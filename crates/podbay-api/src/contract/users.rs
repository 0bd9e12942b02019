//! `/user`, and ours, `/users`.

use super::{Operation, get, patch, post, text};
use crate::paths::{USER_SLUG, USERS, WHOAMI};
use crate::users::{CreateUser, SetSlug, User, UserCreated, WhoAmI};
use crate::{Data, OffsetPage};
use serde_json::json;

pub(super) fn operations() -> Vec<Operation> {
    let owner = "Only the owner of the installation may do this.";
    vec![
        get(WHOAMI, "whoami", "Who the key belongs to, and what it may do")
            .asks("teamId", "A team that the user must be in.", &text())
            .refuses(404, "The user is not in that team.")
            .gives::<Data<WhoAmI>>(),
        patch(USER_SLUG, "setUserSlug", "Give yourself a name in addresses")
            .takes::<SetSlug>(json!({ "slug": "ada" }))
            .gives::<Data<WhoAmI>>(),
        get(USERS, "listUsers", "Users of the installation")
            .about(owner)
            .asks_for_part()
            .gives::<OffsetPage<User>>()
            .ours(),
        post(USERS, "createUser", "Make a user")
            .about("Only the owner of the installation may do this. The reply shows the user's first API key once.")
            .takes::<CreateUser>(json!({ "name": "ada", "email": "ada@example.org" }))
            .gives::<UserCreated>()
            .ours(),
    ]
}
