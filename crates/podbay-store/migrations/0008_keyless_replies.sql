-- Who has no user yet may repeat a call as well: a reply belongs to a user, or to whoever holds what a
-- hash in `whose` is of.
CREATE TABLE kept_replies (
    whose TEXT NOT NULL,
    name TEXT NOT NULL,
    request_sha256 TEXT NOT NULL,
    status BIGINT NOT NULL,
    reply TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (whose, name)
);
INSERT INTO kept_replies (whose, name, request_sha256, status, reply, created_at)
    SELECT user_id, name, request_sha256, status, reply, created_at FROM idempotency;
DROP TABLE idempotency;
CREATE INDEX kept_replies_age ON kept_replies (created_at);
