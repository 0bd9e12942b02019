-- The one SSH key of its maker that a pod lets in, where the order named one. A key that is deleted later
-- leaves its name here: what let in one key does not let in all of them instead.
CREATE TABLE pod_keys (
    pod_id TEXT PRIMARY KEY REFERENCES pods (id),
    ssh_key_id TEXT NOT NULL
);
