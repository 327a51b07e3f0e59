"""What rows count against a user's limits of history, receipts and trash: their bytes on the disk, about.

A charge is computed once, when the row is written, and stored or recomputed by the same formula when it goes.
"""

# a row with its header, and its share of the pages' free space
ROW_BYTES = 128
# an op's row in the index of the log and in that index's index; the key is in both
OP_BYTES = 64
# a receipt's row and that of its index; the op_id is in both
RECEIPT_BYTES = 64

# SQL: the charge of a row of the log (rows from before charges were stored have none), of a receipt, of a deleted entry
LOG_CHARGE = f"coalesce(charge, length(CAST(frame AS BLOB)) + {ROW_BYTES})"
RECEIPT_CHARGE = f"2 * length(op_id) + length(fingerprint) + length(answer) + {RECEIPT_BYTES}"
TRASH_CHARGE = f"length(CAST(key AS BLOB)) + length(CAST(value AS BLOB)) + {ROW_BYTES}"


def of_write(frame: str, keys: int, ops: int) -> int:
    """The charge of a write in the change log; `keys` is the length of its keys together, in characters."""
    # characters of another script may be four bytes long; the check costs nothing, an encoding would
    size = len(frame) if frame.isascii() else len(frame.encode()) + 2 * keys
    return size + 2 * keys + OP_BYTES * ops + ROW_BYTES


def of_receipt(op_id: str, fingerprint: str, answer: str) -> int:
    """The charge of a receipt; all of it is ASCII."""
    return 2 * len(op_id) + len(fingerprint) + len(answer) + RECEIPT_BYTES
