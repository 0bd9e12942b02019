CREATE TABLE registry_credentials (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id),
    name TEXT NOT NULL,
    server TEXT NOT NULL,
    username TEXT NOT NULL,
    password_sealed TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX registry_credentials_user ON registry_credentials (user_id, created_at, id);
CREATE TABLE templates (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id),
    team_id TEXT,
    name TEXT NOT NULL,
    image TEXT NOT NULL,
    command TEXT,
    env TEXT NOT NULL,
    ports TEXT NOT NULL,
    registry_credentials_id TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT
);
CREATE INDEX templates_live ON templates (user_id, created_at, id) WHERE deleted_at IS NULL;
