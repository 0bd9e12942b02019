-- When every machine that a row calls running was last seen running on a host: the end of a bill
-- whose machine went without a word.
ALTER TABLE hosts ADD COLUMN seen_at BIGINT;
-- What the image's reference was resolved to by the first fetch that came through.
ALTER TABLE pods ADD COLUMN image_digest TEXT;
-- An account has one primary SSH key.
CREATE UNIQUE INDEX ssh_keys_primary ON ssh_keys (user_id) WHERE is_primary;
