"""The flow of a user's chats: their Space, their rooms, and what they are called."""
