"""Operations on many keys as one write: delete, move and copy of a prefix; restore and undo."""
