-- Since when the engine of a host has not answered; NULL while it answers, or has not been silent for long.
ALTER TABLE hosts ADD COLUMN silent_since BIGINT;
