"""What the shore promises."""
