CREATE TABLE idempotency (
    user_id TEXT NOT NULL REFERENCES users (id),
    name TEXT NOT NULL,
    request_sha256 TEXT NOT NULL,
    status BIGINT NOT NULL,
    reply TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (user_id, name)
);
CREATE INDEX idempotency_age ON idempotency (created_at);
