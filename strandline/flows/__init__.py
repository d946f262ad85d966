"""Which flows run: the bot's own, and other people's."""
