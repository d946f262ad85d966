"""Values that all folders share: ids, inbound events, messages, signals, agents, translations."""
