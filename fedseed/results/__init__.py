"""Records, tables, figures and displays."""
