"""The turn: persona, memory, retrieval, budget, generate, tools, log."""
