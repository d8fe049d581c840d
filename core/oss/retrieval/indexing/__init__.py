"""From files to a collection: what changed is read, cut, embedded and written, and nothing else."""
