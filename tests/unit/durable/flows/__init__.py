"""The flows that the bot is made of, without a homeserver and without a store."""
