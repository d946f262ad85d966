"""Agents that are reached by the OpenAI chat-completions API."""
