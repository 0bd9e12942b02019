CREATE TABLE logins (
    code TEXT PRIMARY KEY,
    status_sha256 TEXT NOT NULL,
    public_key TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    user_id TEXT REFERENCES users (id),
    api_key_id TEXT REFERENCES api_keys (id),
    sealed TEXT
);
CREATE INDEX logins_created ON logins (created_at, code);
CREATE INDEX logins_expires ON logins (expires_at);
