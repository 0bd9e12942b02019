CREATE TABLE teams (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    slug TEXT UNIQUE,
    created_at BIGINT NOT NULL
);
CREATE TABLE team_members (
    team_id TEXT NOT NULL REFERENCES teams (id),
    user_id TEXT NOT NULL REFERENCES users (id),
    role TEXT NOT NULL,
    joined_at BIGINT NOT NULL,
    PRIMARY KEY (team_id, user_id)
);
CREATE INDEX team_members_user ON team_members (user_id, joined_at, team_id);
CREATE TABLE invitations (
    id TEXT PRIMARY KEY,
    team_id TEXT NOT NULL REFERENCES teams (id),
    invited_by TEXT NOT NULL REFERENCES users (id),
    role TEXT NOT NULL,
    email TEXT,
    code_sha256 TEXT NOT NULL UNIQUE,
    expires_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX invitations_team ON invitations (team_id, created_at, id);
-- The team, or else the user: what lists and bills select by. It never changes.
ALTER TABLE pods ADD COLUMN owner_id TEXT NOT NULL DEFAULT '';
UPDATE pods SET owner_id = COALESCE(team_id, user_id);
ALTER TABLE pods ADD COLUMN shared_with_team BOOLEAN NOT NULL DEFAULT FALSE;
-- Holds all that a page of a list is chosen by, so that only the rows of the page are read.
CREATE INDEX pods_owner ON pods (owner_id, terminated_at, created_at DESC, id DESC);
CREATE TABLE pod_members (
    pod_id TEXT NOT NULL REFERENCES pods (id),
    user_id TEXT NOT NULL REFERENCES users (id),
    PRIMARY KEY (pod_id, user_id)
);
CREATE INDEX pod_members_user ON pod_members (user_id);
CREATE TABLE credits (
    id TEXT PRIMARY KEY,
    owner_id TEXT NOT NULL,
    amount BIGINT NOT NULL,
    note TEXT NOT NULL,
    made_by TEXT NOT NULL REFERENCES users (id),
    created_at BIGINT NOT NULL
);
CREATE INDEX credits_owner ON credits (owner_id);
