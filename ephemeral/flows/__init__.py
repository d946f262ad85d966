"""The bot's flows whose states a restart forgets."""
