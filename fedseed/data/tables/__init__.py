"""Tables as people have them: each module reads one kind, row by row, and guesses nothing."""
