"""Random kills: the driver of ``benchmarks/soak`` on a real Synapse."""
