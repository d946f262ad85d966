"""Agents with OpenAI's API."""
