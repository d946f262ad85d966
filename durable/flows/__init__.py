"""Built-in flows whose states survive a restart."""
