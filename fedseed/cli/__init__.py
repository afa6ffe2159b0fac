"""The command line: flags made of options, errors turned into one line and an exit status."""
