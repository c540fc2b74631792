"""The training loop: epochs, learning rate, held-out loss, checkpoints, initial vectors."""
