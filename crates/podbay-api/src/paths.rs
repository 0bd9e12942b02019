//! The paths below [`BASE`]. Each is also served with a slash at its end.

/// What all paths begin with.
pub const BASE: &str = "/api/v1";

/// Pods: GET lists, POST orders.
pub const PODS: &str = "/pods";
/// Status of several pods.
pub const PODS_STATUS: &str = "/pods/status";
/// Pods that have ended.
pub const PODS_HISTORY: &str = "/pods/history";
/// One pod: GET, DELETE.
pub const POD: &str = "/pods/{id}";
/// Its log.
pub const POD_LOG: &str = "/pods/{id}/log";
/// The same, under the name that some documents have.
pub const POD_LOGS: &str = "/pods/{id}/logs";
/// What happened to it (an addition).
pub const POD_EVENTS: &str = "/pods/{id}/events";
/// Offers, as a map (legacy).
pub const AVAILABILITY: &str = "/availability";
/// Offers of one machine.
pub const AVAILABILITY_GPUS: &str = "/availability/gpus";
/// Price summary.
pub const AVAILABILITY_GPU_SUMMARY: &str = "/availability/gpu-summary";
/// Offers of several machines.
pub const AVAILABILITY_MULTI_NODE: &str = "/availability/multi-node";
/// Offers of persistent disks.
pub const AVAILABILITY_DISKS: &str = "/availability/disks";
/// Persistent disks: GET lists, POST orders.
pub const DISKS: &str = "/disks";
/// One disk: GET, PATCH, DELETE.
pub const DISK: &str = "/disks/{id}";
/// What happened to it (an addition).
pub const DISK_EVENTS: &str = "/disks/{id}/events";
/// SSH keys: GET lists, POST adds.
pub const SSH_KEYS: &str = "/ssh_keys";
/// One SSH key: DELETE, PATCH.
pub const SSH_KEY: &str = "/ssh_keys/{id}";
/// Templates: GET lists, POST makes (an addition).
pub const TEMPLATES: &str = "/templates";
/// One template: GET, PATCH, DELETE (an addition).
pub const TEMPLATE: &str = "/templates/{id}";
/// Whether a registry gives an image: POST asks.
pub const CHECK_IMAGE: &str = "/template/check-docker-image";
/// Credentials of registries: GET lists, POST adds (POST is an addition).
pub const REGISTRY_CREDENTIALS: &str = "/template/registry-credentials";
/// Credentials of one registry: DELETE (an addition).
pub const REGISTRY_CREDENTIALS_ONE: &str = "/template/registry-credentials/{id}";
/// Who the key belongs to.
pub const WHOAMI: &str = "/user/whoami";
/// The caller's name in addresses: PATCH.
pub const USER_SLUG: &str = "/user/slug";
/// The caller's teams.
pub const USER_TEAMS: &str = "/user/teams";
/// Teams: POST makes one (an addition).
pub const TEAMS: &str = "/teams";
/// One team: PATCH, DELETE (an addition).
pub const TEAM: &str = "/teams/{id}";
/// Its members.
pub const TEAM_MEMBERS: &str = "/teams/{id}/members";
/// One of them: PATCH, DELETE (an addition).
pub const TEAM_MEMBER: &str = "/teams/{id}/members/{user}";
/// Its invitations: GET lists, POST makes one (an addition).
pub const INVITATIONS: &str = "/teams/{id}/invitations";
/// One of them: DELETE (an addition).
pub const INVITATION: &str = "/teams/{id}/invitations/{invitation}";
/// Where an invitation is accepted: POST, with or without a key (an addition).
pub const INVITATION_ACCEPT: &str = "/invitations/{id}/accept";
/// A wallet.
pub const WALLET: &str = "/billing/wallet";
/// Credits: POST makes one (an addition).
pub const CREDITS: &str = "/billing/credits";
/// Users: GET lists, POST makes one (an addition).
pub const USERS: &str = "/users";
/// What the server's own auditor finds (an addition).
pub const AUDIT: &str = "/audit";
/// API keys: GET lists, POST makes (an addition).
pub const API_KEYS: &str = "/api_keys";
/// One API key: DELETE revokes (an addition).
pub const API_KEY: &str = "/api_keys/{id}";

/// Begins a login. Needs no key.
pub const LOGIN_BEGIN: &str = "/auth_challenge/generate";
/// How a login went. Needs the login's own token.
pub const LOGIN_STATUS: &str = "/auth_challenge/status";
/// Approves a login (an addition).
pub const LOGIN_APPROVE: &str = "/auth_challenge/approve";
/// Refuses a login (an addition).
pub const LOGIN_REFUSE: &str = "/auth_challenge/refuse";
/// Multi-machine offers, as a map (legacy).
pub const AVAILABILITY_CLUSTERS: &str = "/availability/clusters";
/// Price summary of offers of several machines.
pub const AVAILABILITY_MULTI_NODE_SUMMARY: &str = "/availability/multi-node-summary";

/// The page on which a login is approved. Not below [`BASE`], and needs no key.
pub const LOGIN_PAGE: &str = "/dashboard/tokens/challenge";
/// The offers as SkyPilot's catalog. Not below [`BASE`].
pub const SKYPILOT_CATALOG: &str = "/skypilot/vms.csv";
/// Whether the process is up. Not below [`BASE`], and needs no key.
pub const HEALTHZ: &str = "/healthz";
/// Whether it can serve. Not below [`BASE`], and needs no key.
pub const READYZ: &str = "/readyz";
/// Numbers for Prometheus. Not below [`BASE`].
pub const METRICS: &str = "/metrics";
/// The contract as an OpenAPI document. Not below [`BASE`], and needs no key.
pub const OPENAPI: &str = "/openapi.json";
/// The same for a person. Not below [`BASE`], and needs no key.
pub const DOCS: &str = "/docs";
