"""Training of word vectors: epochs, learning rate, held-out loss, checkpoints, initial vectors."""
