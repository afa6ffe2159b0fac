"""All bytes in one picture: seeds, protocols and linear models of several records."""
