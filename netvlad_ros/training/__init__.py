"""Learning the descriptor: the only room that imports torch."""
