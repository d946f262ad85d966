"""Agents that speak OpenAI's API."""
