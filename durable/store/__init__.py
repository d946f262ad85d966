"""The store: its contract, the transaction of a turn, the codec, and one folder for each engine."""
