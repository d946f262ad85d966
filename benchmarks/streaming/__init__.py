"""Many rooms in which an agent's answer grows at the same time."""
