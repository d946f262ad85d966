"""For authors of flows: findings, pictures, new projects. A running bot needs none of it."""
