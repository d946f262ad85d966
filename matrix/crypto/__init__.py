"""End-to-end encryption: Olm sessions, key exchange, encrypted files."""
