"""Tools for authors of flows: lint, diagrams, new projects. A running bot needs none of them."""
