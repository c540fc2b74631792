"""Measure the speed of the engines, and how the time per pair grows with V and K.

V is the size of the vocabulary, and K the number of noise words.
"""
