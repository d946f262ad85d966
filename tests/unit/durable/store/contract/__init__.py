"""What ``durable.store.contract`` promises, asked of every implementation."""
