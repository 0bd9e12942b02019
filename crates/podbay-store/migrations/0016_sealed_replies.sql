-- The reply with its secret, sealed for the API key that called; `status` and `reply` are what others are told.
ALTER TABLE kept_replies ADD COLUMN sealed TEXT;
