-- The rooms that the bot was in at the checkpoint. A sync response may repeat the bot's own join; only
-- what is written here tells whether that is news.
CREATE TABLE joined_room (
    room_id TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;

INSERT INTO joined_room SELECT room_id FROM room;

-- Handled events are kept for each room, so that a busy room takes no other room's away.
DROP INDEX handled_below;
CREATE INDEX handled_of_room ON handled (room_id, position);

-- Rooms that are behind the checkpoint, and the sync token from which on each may have events that are
-- not handled. After a restart they are read from there.
CREATE TABLE behind (
    room_id TEXT PRIMARY KEY,
    since TEXT NOT NULL
) STRICT, WITHOUT ROWID;
