"""From text to token ids: sources, tokenizers, corpus folders, phrases, vocabularies."""
