"""How work is shared out between users: queues, and the threads that serve them."""
