"""The flow of a user's chats: creates and restores the Space and the rooms of the chats."""
