-- Which podbay may still work on this database: one whose newest migration is at least this one. A migration
-- that only adds leaves it alone, so that the release before it runs on; one that takes something away, which the
-- release before it has already ceased to use, raises it.
CREATE TABLE schema_floor (
    singleton BIGINT PRIMARY KEY CHECK (singleton = 1),
    migration BIGINT NOT NULL
);
INSERT INTO schema_floor (singleton, migration) VALUES (1, 12);
