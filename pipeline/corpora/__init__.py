"""Where text comes from: downloadable corpora, and people's own files of text or records."""
