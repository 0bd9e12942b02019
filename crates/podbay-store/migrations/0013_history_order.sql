-- The history in both of its orders: without them each page sorts all that its owner ever had.
CREATE INDEX pods_by_end ON pods (owner_id, terminated_at, id) WHERE terminated_at IS NOT NULL;
CREATE INDEX pods_by_begin ON pods (owner_id, created_at, id) WHERE terminated_at IS NOT NULL;
-- Nothing has asked for it since pods have owners.
DROP INDEX pods_ended;
