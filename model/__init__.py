"""SPADE-SR: networks, losses, training, evaluation and synthesis."""
