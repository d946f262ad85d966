"""Agents: their interface, the pool of connections with its queues, and each kind of agent."""
