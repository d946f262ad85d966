-- Whether the bot came into a room behind the checkpoint after the token from which that is read: what
-- is to be handled there begins at its invite.
ALTER TABLE behind ADD COLUMN is_entered INTEGER NOT NULL DEFAULT 0;
