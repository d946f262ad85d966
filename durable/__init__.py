"""Everything that survives kill -9."""
