"""The shore: all that speaks to a homeserver."""
