//! Who the key belongs to.

use super::{Step, Walk, contains};
use crate::http::text;
use crate::sh::Result;

pub const STEPS: &[Step] = &[("whoami shows who the key belongs to", whoami)];

fn whoami(walk: &mut Walk) -> Result<()> {
    let whoami = walk.server.api.get("/api/v1/user/whoami")?.ok("whoami")?;
    contains(&walk.prime(&["whoami"])?, text(&whoami, "/data/email"))
}
