"""What tests share: people, scenes and the like."""
