//! Time and chance, as values that tests replace.

use podbay_core::key::ApiKey;
use podbay_core::{
    ApiKeyId, CredentialsId, CreditId, DiskId, InstallId, InvitationId, LoginCode, PodId, ServerId, SshKeyId,
    TeamId, TemplateId, Timestamp, UserId,
};
use rand::rngs::StdRng;
use rand::{Rng, RngCore, SeedableRng};
use std::sync::{Arc, Mutex, PoisonError};

/// Where the time comes from.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub fn system() -> Self {
        Self::from_fn(|| {
            #[expect(clippy::disallowed_methods, reason = "the one place that reads the ambient clock")]
            let now = std::time::SystemTime::now();
            let since = now.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
            Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
        })
    }

    /// A clock that asks `read`.
    #[must_use]
    pub fn from_fn(read: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

/// Where ids, secrets and spread come from.
pub struct Chance(Mutex<StdRng>);

impl Chance {
    /// Seeded by the operating system.
    #[must_use]
    pub fn system() -> Self {
        Self(Mutex::new(StdRng::from_os_rng()))
    }

    /// The same sequence for the same seed.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self(Mutex::new(StdRng::seed_from_u64(seed)))
    }

    fn with<T>(&self, draw: impl FnOnce(&mut StdRng) -> T) -> T {
        draw(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn bits(&self) -> u128 {
        self.with(Rng::random)
    }

    /// A pod id that sorts by time: the layout of UUID version 7.
    #[must_use]
    pub fn pod_id(&self, now: Timestamp) -> PodId {
        PodId::from_bits(self.timed_bits(now))
    }

    /// A disk id, drawn like a pod's.
    #[must_use]
    pub fn disk_id(&self, now: Timestamp) -> DiskId {
        DiskId::from_bits(self.timed_bits(now))
    }

    fn timed_bits(&self, now: Timestamp) -> u128 {
        let millis = u64::try_from(now.as_millis()).unwrap_or(0);
        let mut random = [0; 10];
        self.fill(&mut random);
        uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid().as_u128()
    }

    /// An SSH key id.
    #[must_use]
    pub fn ssh_key_id(&self) -> SshKeyId {
        SshKeyId::from_bits(self.bits())
    }

    /// A template id.
    #[must_use]
    pub fn template_id(&self) -> TemplateId {
        TemplateId::from_bits(self.bits())
    }

    /// An id of registry credentials.
    #[must_use]
    pub fn credentials_id(&self) -> CredentialsId {
        CredentialsId::from_bits(self.bits())
    }

    /// 12 bytes that were never drawn before and never will be again.
    #[must_use]
    pub fn nonce(&self) -> [u8; 12] {
        self.with(Rng::random)
    }

    /// 16 bytes for the hash of one password.
    #[must_use]
    pub fn salt(&self) -> [u8; 16] {
        self.with(Rng::random)
    }

    /// A user id.
    #[must_use]
    pub fn user_id(&self) -> UserId {
        UserId::from_bits(self.bits())
    }

    /// A team id.
    #[must_use]
    pub fn team_id(&self) -> TeamId {
        TeamId::from_bits(self.bits())
    }

    /// An invitation id.
    #[must_use]
    pub fn invitation_id(&self) -> InvitationId {
        InvitationId::from_bits(self.bits())
    }

    /// A credit id.
    #[must_use]
    pub fn credit_id(&self) -> CreditId {
        CreditId::from_bits(self.bits())
    }

    /// An installation id.
    #[must_use]
    pub fn install_id(&self) -> InstallId {
        InstallId::from_bits(self.bits())
    }

    /// A server's id.
    #[must_use]
    pub fn server_id(&self) -> ServerId {
        ServerId::from_bits(self.bits())
    }

    /// A new API key.
    #[must_use]
    pub fn api_key(&self) -> ApiKey {
        let mut entropy = [0; 40];
        self.fill(&mut entropy);
        ApiKey::from_entropy(ApiKeyId::from_bits(self.bits()), &entropy)
    }

    /// The code of a new login.
    #[must_use]
    pub fn login_code(&self) -> LoginCode {
        LoginCode::from_bits(self.bits())
    }

    /// Bytes that nobody can foresee.
    pub fn fill(&self, bytes: &mut [u8]) {
        self.with(|rng| rng.fill_bytes(bytes));
    }

    /// 32 secret bytes.
    #[must_use]
    pub fn secret(&self) -> [u8; 32] {
        self.with(Rng::random)
    }

    /// A number of the range, ends included.
    #[must_use]
    pub fn port(&self, first: u16, last: u16) -> u16 {
        self.with(|rng| rng.random_range(first..=last))
    }
}
