"""What a run gives away: attacks on what travels, and accounting of what is bounded."""
