"""What is wrong with a class body or a set of flows: each finding with its code and its remedy."""
