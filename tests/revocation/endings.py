"""The ways in which a session ends: each as a function, with the reason that the tabs must receive."""

from collections.abc import Callable
from dataclasses import dataclass

import requests

from tests.live_server import DEADLINE, PASSWORD, Account

NEW_PASSWORD = "another-rather-Long-passphrase"


@dataclass
class Scene:
    """A user with a session that is about to end, another session, and their secrets."""

    ending: Account
    other: Account
    ending_id: str
    codes: list[str]
    # performs a superuser's action on a user: action, username
    act: Callable[[str, str], None]


def call(account: Account, verb: str, **payload: object) -> requests.Response:
    """Make a call that has to succeed."""
    answer = account.http(verb, **payload)
    assert answer.ok, f"{verb}: {answer.status_code} {answer.text}"
    return answer


def sign_out(scene: Scene) -> None:
    call(scene.ending, "sign_out")


def end_session(scene: Scene) -> None:
    call(scene.other, "end_session", id=scene.ending_id)


def end_others(scene: Scene) -> None:
    call(scene.other, "end_other_sessions")


def sign_in_again(scene: Scene) -> None:
    username = scene.ending.username
    call(scene.ending, "sign_in", username=username, password=PASSWORD, token=True)


def change_password(scene: Scene) -> None:
    call(scene.other, "change_password", password=PASSWORD, new_password=NEW_PASSWORD, token=True)


def recover(scene: Scene) -> None:
    answer = requests.post(
        f"{scene.other.server.url}/api/v1/recover",
        json={"username": scene.ending.username, "code": scene.codes[0], "new_password": NEW_PASSWORD},
        timeout=DEADLINE,
    )
    assert answer.ok, answer.text


def delete_account(scene: Scene) -> None:
    call(scene.other, "delete_account", password=PASSWORD)


def revoke_token(scene: Scene) -> None:
    call(scene.other, "revoke_token", id=scene.ending_id)


def by_superuser(act: str) -> Callable[[Scene], None]:
    return lambda scene: scene.act(act, scene.ending.username)


# name → function that ends a session, and the reason that its tabs receive
ENDINGS: dict[str, tuple[Callable[[Scene], None], str]] = {
    "sign_out": (sign_out, "signed_out"),
    "sign_in_again": (sign_in_again, "ended"),
    "end_session": (end_session, "ended"),
    "end_others": (end_others, "ended"),
    "change_password": (change_password, "password_changed"),
    "recover": (recover, "password_changed"),
    "delete_account": (delete_account, "deleted"),
    "revoke_token": (revoke_token, "revoked"),
    "superuser_ends": (by_superuser("sessions"), "ended"),
    "superuser_disables": (by_superuser("disable"), "disabled"),
    "superuser_deletes": (by_superuser("delete"), "deleted"),
    "superuser_sets_password": (by_superuser("password"), "password_changed"),
}
