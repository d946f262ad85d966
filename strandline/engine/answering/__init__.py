"""Agents' answers: asking the agent, showing the answer while it arrives, and committing it."""
