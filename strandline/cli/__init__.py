"""The commands of `strandline`."""
