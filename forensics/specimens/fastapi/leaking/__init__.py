"""The orders service as it was found: memory grows with every new question."""
