-- Servers that share this database, each for as long as its lease was renewed to. A server whose lease is over
-- is deleted by any other, and its claims with it: so a claim that stands is valid, and nobody asks the clock.
CREATE TABLE servers (
    id TEXT PRIMARY KEY,
    -- Of the machine, for people.
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    -- What the servers of one database must have in common: a digest of their data folder.
    folder TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    lease_until BIGINT NOT NULL
);
-- Which server works on which pod or disk. It shares the work out; what keeps two servers from doing harm to a
-- row is the row's version.
CREATE TABLE claims (
    subject TEXT PRIMARY KEY,
    server_id TEXT NOT NULL REFERENCES servers (id) ON DELETE CASCADE
);
CREATE INDEX claims_server ON claims (server_id);
