"""Models: the lean BERT, the registry, published weights."""
