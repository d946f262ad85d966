"""The client-server API: requests, sessions, retries, errors."""
