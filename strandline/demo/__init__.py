"""The demo: a temporary homeserver, a bot process, and a user who talks to the bot."""
