"""The whole bot, as a process of its own, on a real homeserver."""
