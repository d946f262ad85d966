"""The testing kit itself, on a real Synapse."""
