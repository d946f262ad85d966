-- Whether an event that is to be handled again lay below the checkpoint when it was handled before.
ALTER TABLE reopened ADD COLUMN is_below INTEGER NOT NULL DEFAULT 1;
