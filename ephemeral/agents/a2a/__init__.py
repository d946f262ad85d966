"""Agents with the A2A protocol."""
