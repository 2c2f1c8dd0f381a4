"""What is left of the shop's first years."""
