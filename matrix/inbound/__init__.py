"""From the homeserver: sync, gaps in timelines, and events as inbound values."""
