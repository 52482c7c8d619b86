"""Methods with one vector for the whole image, and ways to search and rerank such vectors."""
