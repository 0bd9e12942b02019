//! Who the key belongs to.

use super::{Step, Walk, contains, same};
use crate::http::text;
use crate::sh::Result;

pub const STEPS: &[Step] =
    &[("whoami shows who the key belongs to", whoami), ("wallet shows the balance", wallet)];

fn whoami(walk: &mut Walk) -> Result<()> {
    let whoami = walk.server.api.get("/api/v1/user/whoami")?.ok("whoami")?;
    contains(&walk.prime(&["--version"])?, "0.18.0")?;
    contains(&walk.prime(&["whoami"])?, text(&whoami, "/data/email"))
}

fn wallet(walk: &mut Walk) -> Result<()> {
    let wallet = walk.prime_json(&["wallet", "--limit", "5"])?;
    same(text(&wallet, "/currency"), "USD")?;
    contains(&walk.prime(&["wallet"])?, "USD")
}
