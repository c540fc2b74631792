"""Draw charts as PNG files, with matplotlib, which is imported when a chart is drawn."""

from w2v.plots.charts import analogy_accuracy, loss_curve, similarity_scatter, zipf
from w2v.plots.map import word_map

__all__ = ["analogy_accuracy", "loss_curve", "similarity_scatter", "word_map", "zipf"]
