"""Built-in flows whose states a restart loses."""
