-- Files that went with a question to an agent whose answer is not complete: the stage that they
-- came from is in memory only, and the question must be the same when it is asked again.
CREATE TABLE asked (
    event_id TEXT PRIMARY KEY,
    room_id TEXT NOT NULL,
    files TEXT NOT NULL
) STRICT;
