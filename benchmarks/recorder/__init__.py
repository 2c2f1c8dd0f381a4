"""What recording costs, and whether it is right: ours and every peer on the same workloads in one run."""
