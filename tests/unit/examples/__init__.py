"""The examples, each in memory and on a real bot that is killed."""
