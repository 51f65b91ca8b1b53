"""Record batches, old message sets, compression and control records."""
