"""The flow of a room, which binds the room to an agent and a platform chat."""
