"""Sites: places that have a table each, which no other place opens."""
