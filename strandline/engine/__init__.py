"""The engine: queues, turns, answers, and the parts that run them."""
