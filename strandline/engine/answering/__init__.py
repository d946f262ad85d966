"""An agent's answer, from the question to the commit."""
