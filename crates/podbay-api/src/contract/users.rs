//! `/user`.

use super::{Operation, get};
use crate::Data;
use crate::paths::WHOAMI;
use crate::users::WhoAmI;

pub(super) fn operations() -> Vec<Operation> {
    vec![get(WHOAMI, "whoami", "Who the key belongs to, and what it may do").gives::<Data<WhoAmI>>()]
}
