"""`terraform/` as `./ai provision` runs it: which program, on which copy, and what it says in plain words."""
