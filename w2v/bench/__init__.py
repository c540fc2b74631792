"""Measure the speed of the training engines, and how the time per pair grows with V and K.

A pair consists of a center word and an outside word, or, with CBOW, of a predicted word and its
context. V is the size of the vocabulary, and K the number of noise words per pair.
"""
