"""What the reports of runs and of studies share: figure, origin, command, Markdown."""
