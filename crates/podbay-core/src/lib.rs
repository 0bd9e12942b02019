//! What is true and what to do next: ids, specs, pod state, [`pod::plan`], placement,
//! permissions, prices and usage arithmetic, and the named [`limits`].
//!
//! **Invariant:** nothing here waits, reads a clock, draws a random number or speaks to the
//! outside. Every function is a function of its arguments, so that the simulator and the tests
//! run exactly what production runs.

pub mod audit;
pub mod bucket;
pub mod disk;
pub mod id;
pub mod key;
pub mod limits;
pub mod login;
pub mod mutation;
pub mod owner;
pub mod permission;
pub mod place;
pub mod pod;
pub mod published;
pub mod template;
pub mod time;
pub mod usage;

pub use id::{
    ApiKeyId, CredentialsId, CreditId, DiskId, HostId, InstallId, InvitationId, PodId, ServerId, SshKeyId,
    Subject, TeamId, TemplateId, UserId, WalletId,
};
pub use login::LoginCode;
pub use owner::Owner;
pub use time::Timestamp;
pub use usage::{Micros, PricePerHour};
