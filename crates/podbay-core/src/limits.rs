//! Every bound of the product, by name. A full queue or a too large value has a defined answer,
//! and the numbers stand in a relation that is checked when the crate is compiled.

use std::time::Duration;

/// Largest request body, in bytes; more is answered 413.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;
/// Largest head of a request (its first line and its headers), in bytes; more is answered 431.
pub const HEAD_BYTES_MAX: usize = 64 * 1024;
/// After an answer to what is no request, or too large a head: how long, and how many bytes, the
/// client is still read, so that it gets to the answer.
pub const REFUSED_WAIT_MAX: Duration = Duration::from_secs(2);
/// See [`REFUSED_WAIT_MAX`].
pub const REFUSED_BYTES_MAX: usize = 4 * 1024 * 1024;
/// From the start of a connection, or from the end of a reply on it, to the last byte of the next
/// request's head: how long a connection may be idle or slow. Then it is closed.
pub const HEAD_WAIT_MAX: Duration = Duration::from_secs(30);
/// From the end of a request's head to the last byte of its body; longer is answered 408.
pub const BODY_WAIT_MAX: Duration = Duration::from_secs(30);
/// How long a client may take nothing of a reply that waits for it. Then it is cut off.
pub const REPLY_STALL_MAX: Duration = Duration::from_secs(30);
/// Connections at the same time, unless the configuration says otherwise; one more is answered 503.
pub const CONNECTIONS_MAX: usize = 4096;
/// The same for one address (one /64 of IPv6).
pub const CONNECTIONS_PER_ADDRESS_MAX: usize = 2048;
/// File descriptors that connections leave for everything else.
pub const FILES_RESERVED: usize = 256;
/// Callers whose buckets are kept.
pub const BUCKETS_MAX: usize = 65_536;
/// Largest rate and burst that a configuration may name.
pub const QUOTA_MAX: u32 = 1_000_000;
/// How long no connection is accepted after one could not be, for want of memory or files.
pub const ACCEPT_PAUSE: Duration = Duration::from_secs(1);
/// How long a stopping server waits for requests in flight.
pub const DRAIN_MAX: Duration = Duration::from_secs(10);
/// Longest name of a pod, a key or a disk, in characters.
pub const NAME_CHARS_MAX: usize = 255;
/// Most pod ids that one status call may name; more is answered 422.
pub const STATUS_IDS_MAX: usize = 1_000;
/// Page length where a request names none.
pub const PAGE_LIMIT_DEFAULT: u32 = 100;
/// Longest page of the offset/limit family; a larger limit is clamped to it.
pub const PAGE_LIMIT_MAX: u32 = 1_000;
/// Longest page of the page/page_size family (the published maximum).
pub const PAGE_SIZE_MAX: u32 = 100;
/// Longest page of the legacy availability call (the published maximum).
pub const PAGE_SIZE_LEGACY_MAX: u32 = 500;
/// Most environment variables of a pod.
pub const ENV_VARS_MAX: usize = 256;
/// Longest value of one environment variable, in bytes.
pub const ENV_VALUE_BYTES_MAX: usize = 32 * 1024;
/// Most SSH keys of an account.
pub const SSH_KEYS_MAX: usize = 100;
/// Longest SSH public key line, in bytes (RSA 16384 is about 2.8 kB).
pub const SSH_KEY_BYTES_MAX: usize = 8 * 1024;
/// Shortest and longest slug of a user or a team, in characters (published).
pub const SLUG_CHARS: std::ops::RangeInclusive<usize> = 3..=30;
/// Most teams that a user is a member of.
pub const TEAMS_MAX: usize = 100;
/// Most members of a team.
pub const TEAM_MEMBERS_MAX: usize = 100;
/// Most invitations of a team that wait to be accepted.
pub const INVITATIONS_MAX: usize = 100;
/// How long an invitation can be accepted if it says nothing, in hours.
pub const INVITATION_HOURS_DEFAULT: u32 = 72;
/// Longest time that an invitation can be accepted, in hours.
pub const INVITATION_HOURS_MAX: u32 = 24 * 90;
/// Rows of a bill that a call returns if it names no number (published).
pub const BILLING_LIMIT_DEFAULT: u32 = 20;
/// Most rows of a bill that one call returns (published).
pub const BILLING_LIMIT_MAX: u32 = 100;
/// Most dollars of one credit, either way.
pub const CREDIT_DOLLARS_MAX: f64 = 1_000_000.0;
/// Largest `gpuCount` that is taken seriously before the offer is looked up.
pub const GPU_COUNT_MAX: u32 = 1_024;
/// Largest disk, memory or vCPU number in a request.
pub const SIZE_MAX: u32 = 1_000_000;
/// Ports of an image or template that are published beside SSH.
pub const PORTS_EXTRA_MAX: usize = 16;
/// Most templates of an account.
pub const TEMPLATES_MAX: usize = 100;
/// Most registry credentials of an account.
pub const CREDENTIALS_MAX: usize = 100;
/// Most words of a template's command.
pub const COMMAND_WORDS_MAX: usize = 256;
/// Longest word of a command, in bytes; also the longest password of a registry or a notebook.
pub const WORD_BYTES_MAX: usize = 16 * 1024;
/// Longest question about an image, all its requests together.
pub const IMAGE_CHECK_MAX: Duration = Duration::from_secs(10);
/// Largest answer of a registry that is read, in bytes.
pub const REGISTRY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Questions about images at the same time; others wait, within their time.
pub const IMAGE_CHECKS_PARALLEL_MAX: usize = 8;
/// Log lines that one call returns at most.
pub const LOG_TAIL_MAX: u32 = 10_000;
/// Log lines that a call returns if it names no number.
pub const LOG_TAIL_DEFAULT: u32 = 100;

/// How long a login waits for approval, and its key to be fetched.
pub const LOGIN_LIFE: Duration = Duration::from_secs(10 * 60);
/// Logins that wait at the same time. Anybody may begin one, so one more makes the oldest forgotten.
pub const LOGINS_WAITING_MAX: u64 = 1_000;
/// Longest RSA public key of a login, in bytes of PEM.
pub const LOGIN_KEY_BYTES_MAX: usize = 4 * 1024;
/// Fewest bits of an RSA modulus that a key is sealed for.
pub const RSA_BITS_MIN: u32 = 2_048;
/// Most bits of it: what takes longer to use than anybody needs.
pub const RSA_BITS_MAX: u32 = 8_192;

/// Installation attempts before a pod ends in ERROR.
pub const ATTEMPTS_MAX: u32 = 5;
/// Times a machine with `autoRestart` is started again after it ended by itself.
pub const RESTARTS_MAX: u32 = 5;
/// A machine that ran this long before it ended was not failing: its restarts are counted anew.
pub const RESTARTS_FORGOTTEN_AFTER: Duration = Duration::from_secs(10 * 60);
/// From the create call to ACTIVE, all attempts together.
pub const PROVISIONING_MAX: Duration = Duration::from_secs(60 * 60);
/// From the start of a container to its SSH banner, within one attempt.
pub const PROBE_MAX: Duration = Duration::from_secs(60);
/// Shortest wait after a failure; doubles with each one.
pub const BACKOFF_MIN: Duration = Duration::from_millis(500);
/// Longest wait after a failure.
pub const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// How long a delete call waits for the machine to be gone before it answers DELETING.
pub const DELETE_WAIT_MAX: Duration = Duration::from_secs(5);
/// What a machine has to end in before it is killed; more than the agent gives what runs in it.
pub const STOP_GRACE: Duration = Duration::from_secs(10);
/// Between two comparisons of rows and engine.
pub const SWEEP_EVERY: Duration = Duration::from_secs(15);
/// How long a server that shares a database with others keeps what it has claimed after it was last heard of.
pub const LEASE: Duration = Duration::from_secs(15);
/// Between two signs of life of such a server.
pub const LEASE_RENEW_EVERY: Duration = Duration::from_secs(3);
/// Unclaimed pods, and as many disks, that a server takes up in one transaction; so others get their share.
pub const CLAIMS_BATCH: u64 = 100;
/// From the last answer of a host's engine until the host counts as silent: several sweeps.
pub const HOST_SILENT_AFTER: Duration = Duration::from_secs(120);
/// What two looks at an engine that does not answer lie apart at most: a sweep, and the deadlines of its calls.
/// What is longer is a clock that has jumped.
pub const LOOK_MAX: Duration = Duration::from_secs(60);
/// From a delete until it may be forced though the engine answers.
pub const FORCE_AFTER: Duration = Duration::from_secs(15 * 60);
/// Age that a container without a row must reach before the sweep removes it.
pub const ORPHAN_GRACE: Duration = Duration::from_secs(60);
/// Between two audits.
pub const AUDIT_EVERY: Duration = Duration::from_secs(60);
/// For how long an audit answers those who ask for one: each reads everything.
pub const AUDIT_KEPT: Duration = Duration::from_secs(1);
/// How long a reply is kept under its `Idempotency-Key`.
pub const IDEMPOTENCY_KEPT: Duration = Duration::from_secs(24 * 3600);
/// Longest `Idempotency-Key`, in bytes.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;
/// Longest error that is kept, in bytes.
pub const IDEMPOTENCY_REPLY_BYTES_MAX: u64 = 64 * 1024;
/// Kept replies that one transaction forgets.
pub const IDEMPOTENCY_BATCH: u64 = 1000;
/// Between two looks for replies to forget.
pub const IDEMPOTENCY_EXPIRE_EVERY: Duration = Duration::from_secs(600);
/// Between two looks for pods and disks that ended longer ago than events are kept.
pub const RETENTION_EVERY: Duration = Duration::from_secs(3600);
/// Of how many of them one transaction removes the events.
pub const RETENTION_BATCH: u64 = 100;
/// Pods that are in a pass at the same time.
pub const RECONCILE_PARALLEL_MAX: usize = 1024;
/// Steps at the same time, but those that wait for a registry or for SSH.
pub const STEPS_PARALLEL_MAX: usize = 16;
/// Image fetches at the same time. Apart from the other steps, so that a slow registry holds up
/// neither deletes nor pods whose image is there.
pub const FETCHES_PARALLEL_MAX: usize = 8;

const _: () = {
    assert!(STATUS_IDS_MAX <= PAGE_LIMIT_MAX as usize);
    // A status call that names as many pods as it may, `pod_ids=` and 32 digits each, fits into a head.
    assert!(STATUS_IDS_MAX * 41 + 4096 <= HEAD_BYTES_MAX);
    assert!(IDEMPOTENCY_EXPIRE_EVERY.as_secs() < IDEMPOTENCY_KEPT.as_secs());
    assert!(CONNECTIONS_PER_ADDRESS_MAX <= CONNECTIONS_MAX);
    // A delete that waits for its machine is answered before a stopping server gives it up.
    assert!(DELETE_WAIT_MAX.as_secs() < DRAIN_MAX.as_secs());
    assert!(PAGE_LIMIT_DEFAULT <= PAGE_LIMIT_MAX);
    assert!(PAGE_SIZE_MAX <= PAGE_SIZE_LEGACY_MAX);
    assert!(BILLING_LIMIT_DEFAULT <= BILLING_LIMIT_MAX);
    assert!(INVITATION_HOURS_DEFAULT <= INVITATION_HOURS_MAX);
    // A published client reads only the first page of these two lists.
    assert!(TEAMS_MAX <= PAGE_LIMIT_DEFAULT as usize && TEAM_MEMBERS_MAX <= PAGE_LIMIT_DEFAULT as usize);
    assert!(LOG_TAIL_DEFAULT <= LOG_TAIL_MAX);
    assert!(STEPS_PARALLEL_MAX + FETCHES_PARALLEL_MAX <= RECONCILE_PARALLEL_MAX);
    // Two signs of life may be lost.
    assert!(LEASE_RENEW_EVERY.as_secs() * 4 <= LEASE.as_secs());
    assert!(BACKOFF_MIN.as_millis() < BACKOFF_MAX.as_millis());
    // Or a machine that always fails would be restarted for ever.
    assert!(RESTARTS_FORGOTTEN_AFTER.as_secs() > BACKOFF_MAX.as_secs());
    assert!(PROBE_MAX.as_secs() * ATTEMPTS_MAX as u64 <= PROVISIONING_MAX.as_secs());
    assert!(HOST_SILENT_AFTER.as_secs() >= 4 * SWEEP_EVERY.as_secs());
    // A create whose reply was lost must be adopted by its own pod before the sweep takes it for an orphan.
    assert!(ORPHAN_GRACE.as_secs() > BACKOFF_MAX.as_secs());
};
