"""Fair sharing of work between users: queues, and the threads that serve them."""
