"""The text of an experiment: from corpora that are downloaded, or from the user's files."""
