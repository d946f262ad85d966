"""The language of flows: states with tiers, events, turns and effects; pure, and ignorant of who uses it."""
