"""Operations, entries and spaces as values: no threads, no clock, no network."""
