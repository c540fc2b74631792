"""Measure the speed of the engines, and how the cost of a training step grows."""
