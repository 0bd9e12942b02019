//! Deliberate bugs, to prove that the simulator sees what it is there to see.
//!
//! They exist only with the feature `mutations`, which the test kit alone asks for; without it
//! [`on`] is `false` at compile time and nothing of them is left. With it, a bug is in force on one
//! thread, from [`put_in_force`] on.

/// A bug that a simulator worth its name finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// Nothing is written before a call that may have an effect.
    SkipUnknown,
    /// A delete ends without waiting for the machine to be gone.
    FinishBeforeAbsence,
    /// A failed pod gives back what it held while its machine is there.
    ReleaseBeforeRemove,
    /// A step goes ahead though the user has changed their mind since it was planned.
    ForgetGeneration,
    /// What a step taught is written over what another server has written since.
    ForgetVersion,
    /// The bill begins with the machine, not with SSH.
    BillFromStart,
    /// The bill goes on when the machine has ended.
    BillTheDead,
    /// The last interval is counted twice.
    BillTwice,
    /// A machine is restarted without end.
    RestartForEver,
    /// An ended pod keeps what it held.
    KeepPlace,
    /// The reply of a call with an idempotency key is not kept.
    ForgetReply,
    /// The sweep takes the machine of a later attempt for an orphan.
    SweepLaterAttempts,
    /// SSH counts as answered after one look, whatever was seen.
    ActiveWithoutBanner,
    /// The end of a pod has no event.
    EndInSilence,
    /// Whatever is asked of a host is asked of the first.
    AskTheFirstHost,
}

impl Mutation {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::SkipUnknown,
        Self::FinishBeforeAbsence,
        Self::ReleaseBeforeRemove,
        Self::ForgetGeneration,
        Self::ForgetVersion,
        Self::BillFromStart,
        Self::BillTheDead,
        Self::BillTwice,
        Self::RestartForEver,
        Self::KeepPlace,
        Self::ForgetReply,
        Self::SweepLaterAttempts,
        Self::ActiveWithoutBanner,
        Self::EndInSilence,
        Self::AskTheFirstHost,
    ];
}

#[cfg(feature = "mutations")]
thread_local! {
    static IN_FORCE: std::cell::Cell<Option<Mutation>> = const { std::cell::Cell::new(None) };
}

/// Whether that bug is in force here.
#[must_use]
#[cfg(feature = "mutations")]
pub fn on(mutation: Mutation) -> bool {
    IN_FORCE.get() == Some(mutation)
}

/// Whether that bug is in force here: never, in this build.
#[must_use]
#[cfg(not(feature = "mutations"))]
pub const fn on(_: Mutation) -> bool {
    false
}

/// Puts a bug in force on this thread, or none.
#[cfg(feature = "mutations")]
pub fn put_in_force(mutation: Option<Mutation>) {
    IN_FORCE.set(mutation);
}
