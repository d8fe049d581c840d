"""What every store shares: chunks, BM25, fusion, filters, diversity, neighbours, search."""
