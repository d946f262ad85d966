"""Stand-ins for what can't be made to fail on demand."""
