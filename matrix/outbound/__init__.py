"""To the homeserver: delivery of outbox rows, rendering, rate limits, receipts."""
