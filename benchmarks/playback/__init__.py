"""What a whole profile costs: requests, jobs, export and all."""
