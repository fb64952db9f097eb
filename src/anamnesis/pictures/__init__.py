"""Photos decoded and written anew, out of the way of everything else."""
