"""Groups, offsets, transactions and cluster metadata: decide, then replay."""
