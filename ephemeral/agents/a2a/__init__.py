"""Agents that are reached by the Agent2Agent (A2A) protocol."""
