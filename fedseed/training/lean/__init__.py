"""The lean BERT with torch's operators: gradients written out by hand, for one model or a stack."""
