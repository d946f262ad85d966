"""Agents: the interface, the pool with its queues, and each kind."""
