-- The user's state, keys and JSON fields as the surface's design documents them.
CREATE TABLE IF NOT EXISTS kv (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

-- What the restart asks of rooms and users, without reading every one: each expression is
-- indexed. A value may be malformed, and a number written by hand may be any text.
CREATE VIEW room AS
SELECT
    substr(key, 13) AS room_id,
    CASE WHEN json_valid(value) THEN json_extract(value, '$.agent_id') END AS agent_id,
    CASE WHEN json_valid(value)
        AND length(json_extract(value, '$.platform_chat_id')) BETWEEN 1 AND 18
        AND json_extract(value, '$.platform_chat_id') NOT GLOB '*[^0-9]*'
    THEN CAST(json_extract(value, '$.platform_chat_id') AS INTEGER) END AS platform_chat_number
FROM kv
WHERE key >= 'matrix_room:' AND key < 'matrix_room;';

CREATE INDEX room_agent ON kv (
    CASE WHEN json_valid(value) THEN json_extract(value, '$.agent_id') END
) WHERE key >= 'matrix_room:' AND key < 'matrix_room;';

CREATE INDEX room_platform_chat_number ON kv (
    CASE WHEN json_valid(value)
        AND length(json_extract(value, '$.platform_chat_id')) BETWEEN 1 AND 18
        AND json_extract(value, '$.platform_chat_id') NOT GLOB '*[^0-9]*'
    THEN CAST(json_extract(value, '$.platform_chat_id') AS INTEGER) END
) WHERE key >= 'matrix_room:' AND key < 'matrix_room;';

CREATE VIEW user AS
SELECT
    substr(key, 13) AS user_id,
    CASE WHEN json_valid(value) THEN json_extract(value, '$.selected_agent_id') END AS agent_id
FROM kv
WHERE key >= 'matrix_user:' AND key < 'matrix_user;';

CREATE INDEX user_agent ON kv (
    CASE WHEN json_valid(value) THEN json_extract(value, '$.selected_agent_id') END
) WHERE key >= 'matrix_user:' AND key < 'matrix_user;';

-- Events handled above the checkpoint, and for a while below it.
CREATE TABLE handled (
    position INTEGER PRIMARY KEY,
    event_id TEXT NOT NULL UNIQUE,
    room_id TEXT NOT NULL,
    is_below INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX handled_below ON handled (position) WHERE is_below;

-- What the homeserver is owed, in the order in which each room gets it.
CREATE TABLE outbox (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    transaction_id TEXT NOT NULL UNIQUE,
    room_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    payload TEXT NOT NULL,
    stream_of TEXT,
    parked_error TEXT,
    created_at_ms INTEGER NOT NULL
) STRICT;

-- Answers that have begun to show.
CREATE TABLE stream (
    event_id TEXT PRIMARY KEY,
    room_id TEXT NOT NULL,
    head_event_id TEXT
) STRICT;

-- Handled events that are to be handled again.
CREATE TABLE reopened (
    position INTEGER PRIMARY KEY,
    event_id TEXT NOT NULL UNIQUE,
    room_id TEXT NOT NULL,
    ordinal INTEGER NOT NULL
) STRICT;

-- Events whose handling fails every time.
CREATE TABLE parked (
    position INTEGER PRIMARY KEY,
    event_id TEXT NOT NULL UNIQUE,
    room_id TEXT NOT NULL,
    error TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    parked_at_ms INTEGER NOT NULL
) STRICT;

-- Values that were not what their key says. For people; no code reads it back.
CREATE TABLE quarantine (
    position INTEGER PRIMARY KEY,
    key TEXT NOT NULL,
    value ANY NOT NULL,
    error TEXT NOT NULL,
    at_ms INTEGER NOT NULL
) STRICT;

-- The checkpoint and the like: state of the bot itself.
CREATE TABLE meta (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;
