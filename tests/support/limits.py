"""How long tests wait before they call something hung."""

HANGS_SECONDS = 300.0
"""It measures nothing: what it ends takes a tenth of that at most, on a busy machine too."""
