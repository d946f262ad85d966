"""The engine: reads events from the homeserver, handles each in a turn, and sends the results."""
