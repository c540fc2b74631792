"""Turn text into token ids: document sources, tokenizers, phrases and vocabularies."""
