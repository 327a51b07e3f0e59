"""Charges of rows against a user's limits of history, receipts and trash: about their bytes on the disk.

A charge is computed once, when the row is written, and stored or recomputed by the same formula when the row is
removed.
"""

# a row with its header, and its share of the pages' free space
ROW_BYTES = 128
# an op's row in the history index and in that index's index; the key is in both
OP_BYTES = 64
# a receipt's row and that of its index; the op_id is in both
RECEIPT_BYTES = 64


def of_write(frame: str, keys: int, ops: int) -> int:
    """Return the charge of a write in the change log; `keys` is the total length of its keys, in characters."""
    # characters of another script may be four bytes long; the check costs nothing, encoding would
    size = len(frame) if frame.isascii() else len(frame.encode()) + 2 * keys
    return size + 2 * keys + OP_BYTES * ops + ROW_BYTES


def of_receipt(op_id: str, fingerprint: str, answer: str) -> int:
    """Return the charge of a receipt, all of which is ASCII."""
    return 2 * len(op_id) + len(fingerprint) + len(answer) + RECEIPT_BYTES
