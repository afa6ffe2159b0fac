"""Studies: functions that end in a RunRecord."""
