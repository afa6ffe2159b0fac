"""Linear models of token counts: what a bag of words knows, and in how few bytes."""
