-- Between these moments the engine may have been given what a restored database was never told of: that
-- of the backup, and that of the restore.
ALTER TABLE install ADD COLUMN backup_at BIGINT;
ALTER TABLE install ADD COLUMN restored_at BIGINT;
