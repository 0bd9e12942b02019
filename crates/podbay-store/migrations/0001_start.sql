CREATE TABLE install (
    singleton BIGINT PRIMARY KEY CHECK (singleton = 1),
    id TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE TABLE users (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    email TEXT NOT NULL,
    slug TEXT UNIQUE,
    role TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE TABLE api_keys (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id),
    name TEXT NOT NULL,
    secret_sha256 TEXT NOT NULL,
    scopes TEXT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT,
    last_used_at BIGINT,
    created_at BIGINT NOT NULL
);
CREATE INDEX api_keys_user ON api_keys (user_id, created_at, id);
CREATE TABLE ssh_keys (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id),
    name TEXT NOT NULL,
    public_key TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    is_primary BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (user_id, fingerprint)
);
CREATE TABLE hosts (
    id TEXT PRIMARY KEY,
    facts TEXT NOT NULL,
    vcpus_used BIGINT NOT NULL CHECK (vcpus_used >= 0),
    memory_gb_used BIGINT NOT NULL CHECK (memory_gb_used >= 0),
    disk_gb_used BIGINT NOT NULL CHECK (disk_gb_used >= 0),
    updated_at BIGINT NOT NULL
);
CREATE TABLE gpus (
    host_id TEXT NOT NULL REFERENCES hosts (id),
    uuid TEXT NOT NULL,
    position BIGINT NOT NULL,
    gpu_type TEXT NOT NULL,
    is_present BOOLEAN NOT NULL,
    pod_id TEXT,
    PRIMARY KEY (host_id, uuid)
);
CREATE INDEX gpus_pod ON gpus (pod_id);
CREATE TABLE allocations (
    pod_id TEXT PRIMARY KEY,
    host_id TEXT NOT NULL REFERENCES hosts (id),
    vcpus BIGINT NOT NULL,
    memory_gb BIGINT NOT NULL,
    disk_gb BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE TABLE ports (
    host_id TEXT NOT NULL REFERENCES hosts (id),
    protocol TEXT NOT NULL,
    port BIGINT NOT NULL,
    pod_id TEXT NOT NULL,
    internal BIGINT NOT NULL,
    PRIMARY KEY (host_id, protocol, port)
);
CREATE INDEX ports_pod ON ports (pod_id);
CREATE TABLE pods (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id),
    team_id TEXT,
    host_id TEXT NOT NULL,
    spec TEXT NOT NULL,
    desired TEXT NOT NULL,
    generation BIGINT NOT NULL,
    placement TEXT,
    image TEXT NOT NULL,
    machine TEXT NOT NULL,
    attempt BIGINT NOT NULL,
    attempt_failed TEXT,
    failure TEXT,
    progress BIGINT NOT NULL,
    ready_at BIGINT,
    restarts BIGINT NOT NULL,
    setbacks BIGINT NOT NULL,
    next_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    terminated_at BIGINT
);
CREATE INDEX pods_live ON pods (user_id, created_at DESC, id DESC) WHERE terminated_at IS NULL;
CREATE INDEX pods_host ON pods (host_id) WHERE terminated_at IS NULL;
CREATE INDEX pods_ended ON pods (user_id, terminated_at, id) WHERE terminated_at IS NOT NULL;
CREATE TABLE events (
    pod_id TEXT NOT NULL,
    seq BIGINT NOT NULL,
    at BIGINT NOT NULL,
    kind TEXT NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (pod_id, seq)
);
CREATE TABLE usage_intervals (
    pod_id TEXT NOT NULL,
    seq BIGINT NOT NULL,
    state TEXT NOT NULL,
    price BIGINT NOT NULL,
    started_at BIGINT NOT NULL,
    ended_at BIGINT CHECK (ended_at IS NULL OR ended_at >= started_at),
    PRIMARY KEY (pod_id, seq)
);
CREATE UNIQUE INDEX usage_open ON usage_intervals (pod_id) WHERE ended_at IS NULL;
