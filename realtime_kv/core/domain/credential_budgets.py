"""Budgets: limit the tabs, streams or exports of a user at once, and the part of them that API tokens may take.

Invariants:
1. A user has at most `most` of them.
2. One API token has at most a quarter of that, all API tokens of a user together at most half: signed-in sessions keep
   the other half, whatever programs and the holders of a public token do.
3. Every share is at least one.
"""

from collections import Counter
from dataclasses import dataclass

from realtime_kv.caller import Caller


@dataclass(frozen=True)
class Exceeded:
    """A limit that was reached: its short name for the limit log, and the message for the caller."""

    limit: str
    message: str


class Budget:
    """Counter of open objects, for each user and each token."""

    def __init__(self, name: str, most: int, state: str = "open", remedy: str = "close some") -> None:
        """`name` is a plural noun; a message reads "You have 5 `name` `state` and may have 5; `remedy`."."""
        self._name, self._state, self._remedy = name, state, remedy
        self.most = most
        self.per_token = max(1, most // 4)
        self.of_tokens = max(1, most // 2)
        self._users: Counter[int] = Counter()
        self._tokens_of_users: Counter[int] = Counter()
        self._tokens: Counter[int] = Counter()

    def exceeded(self, caller: Caller) -> Exceeded | None:
        """Return the limit that keeps the caller from one more; None without one."""
        name, remedy = self._name, self._remedy
        if caller.kind == "token":
            used = self._tokens[caller.session_id]
            if used >= self.per_token:
                share = f"{self.per_token}, a quarter of its user's {self.most}"
                text = f"This token has {self._count(used)} and may have {share}; {remedy}."
                return Exceeded(f"{name}_per_token", text)
            if self._tokens_of_users[caller.user_id] >= self.of_tokens:
                text = (
                    f"The API tokens of a user may have {self._count(self.of_tokens)} together, half of its {self.most}"
                )
                return Exceeded(f"{name}_of_all_tokens", f"{text}; {remedy}.")
        used = self._users[caller.user_id]
        if used < self.most:
            return None
        if caller.kind == "token":
            return Exceeded(f"{name}_per_user", f"This user may have {self._count(self.most)}; {remedy}.")
        return Exceeded(f"{name}_per_user", f"You have {self._count(used)} and may have {self.most}; {remedy}.")

    def _count(self, number: int) -> str:
        return f"{number} {self._name.removesuffix('s') if number == 1 else self._name} {self._state}"

    def take(self, caller: Caller) -> None:
        """Count one more; call `exceeded` first."""
        self._users[caller.user_id] += 1
        if caller.kind == "token":
            self._tokens_of_users[caller.user_id] += 1
            self._tokens[caller.session_id] += 1

    def give_back(self, caller: Caller) -> None:
        """Count one less."""
        _decrement(self._users, caller.user_id)
        if caller.kind == "token":
            _decrement(self._tokens_of_users, caller.user_id)
            _decrement(self._tokens, caller.session_id)

    def total(self) -> int:
        """Return the number for all users."""
        return self._users.total()


def _decrement(counter: Counter[int], key: int) -> None:
    counter[key] -= 1
    if not counter[key]:
        del counter[key]
