-- The rooms of one user, without reading every one: what !forget-me and the like ask.
CREATE VIEW owned_room AS
SELECT
    key,
    CASE WHEN json_valid(value) THEN json_extract(value, '$.matrix_user_id') END AS owner
FROM kv
WHERE key >= 'matrix_room:' AND key < 'matrix_room;';

CREATE INDEX room_owner ON kv (
    CASE WHEN json_valid(value) THEN json_extract(value, '$.matrix_user_id') END
) WHERE key >= 'matrix_room:' AND key < 'matrix_room;';
