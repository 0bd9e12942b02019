-- Persistent disks. What a disk holds of its host stands in `allocations` and what it costs in
-- `usage_intervals`, under its own id in the column `pod_id`: ids of pods and disks are drawn from
-- one space and never meet, so both tables keep their keys and their guards for both.
CREATE TABLE disks (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id),
    team_id TEXT,
    -- The team, or else the user: what lists and bills select by. It never changes.
    owner_id TEXT NOT NULL,
    host_id TEXT NOT NULL,
    name TEXT NOT NULL,
    size_gb BIGINT NOT NULL CHECK (size_gb > 0),
    price_gb BIGINT NOT NULL,
    desired TEXT NOT NULL,
    generation BIGINT NOT NULL,
    volume TEXT NOT NULL,
    failure TEXT,
    ready_at BIGINT,
    setbacks BIGINT NOT NULL,
    next_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    terminated_at BIGINT
);
CREATE INDEX disks_owner ON disks (owner_id, terminated_at, created_at DESC, id DESC);
CREATE INDEX disks_host ON disks (host_id) WHERE terminated_at IS NULL;
CREATE TABLE attachments (
    pod_id TEXT NOT NULL,
    disk_id TEXT NOT NULL REFERENCES disks (id),
    position BIGINT NOT NULL,
    mount_path TEXT NOT NULL,
    PRIMARY KEY (pod_id, disk_id)
);
CREATE INDEX attachments_disk ON attachments (disk_id);
