"""The outside world, one file per program. Processes and sockets live here and nowhere else."""
