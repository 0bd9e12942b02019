-- When the engine of a host answered last.
ALTER TABLE hosts ADD COLUMN answered_at BIGINT;
-- Pods that were ended by force, without a word of their host. What they held is theirs until the host has
-- shown that nothing of them is left.
CREATE TABLE forced_ends (
    pod_id TEXT PRIMARY KEY REFERENCES pods (id),
    host_id TEXT NOT NULL REFERENCES hosts (id),
    forced_at BIGINT NOT NULL
);
