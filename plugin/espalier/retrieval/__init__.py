"""Product retrieval: from a catalogue and pairs to an index, and what it is worth."""
