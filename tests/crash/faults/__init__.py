"""Faults that are made on purpose: of the disk, of the network, of a handler."""
