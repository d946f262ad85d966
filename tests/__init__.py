"""What Strandline promises, as tests."""
