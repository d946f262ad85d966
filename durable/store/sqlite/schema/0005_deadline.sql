-- When the time of a further flow's durable state is up, in Unix milliseconds: which are due is one
-- step into the index.
CREATE INDEX flow_at_ms ON kv (
    CASE WHEN json_valid(value) THEN json_extract(value, '$.deadline.at_ms') END
) WHERE key >= 'flow:' AND key < 'flow;';

CREATE VIEW flow_deadline AS
SELECT
    key,
    CASE WHEN json_valid(value) THEN json_extract(value, '$.deadline.at_ms') END AS at_ms
FROM kv INDEXED BY flow_at_ms
WHERE key >= 'flow:' AND key < 'flow;';
