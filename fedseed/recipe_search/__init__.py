"""Recipe aggregators: how scores of recipes become the next proposals. One file each."""
