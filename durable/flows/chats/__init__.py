"""The flow of a user's chats: the Space, the rooms and their names."""
