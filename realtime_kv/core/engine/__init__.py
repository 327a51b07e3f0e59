"""The write path: the queue, the writer thread, evaluation, commit and the memtable."""
