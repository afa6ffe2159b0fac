"""What is learnt from a run: attacks that read what crossed the wire, and nothing else."""
