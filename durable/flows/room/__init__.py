"""The flow of a room: which agent and which chat it is bound to."""
