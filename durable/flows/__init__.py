"""The bot's own flows whose states survive a restart."""
