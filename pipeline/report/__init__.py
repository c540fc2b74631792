"""What people look at after a run: plots, the interactive map of words, and the report.

`plots` draws single charts with matplotlib, `figures` chooses the charts of a run and captions
them, `map` projects vectors into two dimensions and writes the interactive page, and `report`
writes ``report.html``.
"""
