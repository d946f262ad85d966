"""The same small bot on four frameworks, killed the same number of times."""
