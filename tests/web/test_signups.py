"""Sign-ups are open, closed, or by one-time invitation; superusers see the invitations."""

import re

import pytest

from tests.web.conftest import PASSWORD


def sign_up(visitor, username="Dora", **more):
    answer = visitor.call("sign_up", username=username, password=PASSWORD, **more)
    return answer.status_code, answer.json.get("code"), answer.json.get("needs")


@pytest.fixture
def open_with_root(open_site):
    """Return a function that opens a site with given settings, and a superuser in a browser."""

    def open_with_root(**settings):
        site = open_site(**settings)
        services = site.app.extensions["realtime_kv"]
        link = services.runtime.wait(services.accounts.administration.setup_link(), 10)
        visitor = site.visitor()
        visitor.get(f"/setup/{link.secret}")
        made = visitor.post("/setup", data={"username": "Root", "password": PASSWORD})
        assert made.status_code == 200
        return site, visitor

    return open_with_root


def invite(root, note="For Dora", days="7"):
    """Create an invitation and return its secret, which the page shows once."""
    page = root.post("/admin/invitations", data={"note": note, "days": days})
    assert page.status_code == 200 and note in page.text
    return re.search(r"/invite/([\w-]{43})", page.text)[1]


def statuses(root):
    return re.findall(r'data-label="Status"><span class="[\w ]+">(\w+)<', root.get("/admin/invitations").text)


def test_signups_on_lets_everyone_sign_up(site):
    assert sign_up(site.visitor()) == (201, None, None)
    assert 'href="/signup"' in site.visitor().get("/signin").text


def test_signups_off_refuses_every_sign_up_and_hides_the_sign_up_link(open_with_root):
    # the first superuser is set up nevertheless
    site, root = open_with_root(signups="off")
    secret = invite(root)
    stranger = site.visitor()
    assert sign_up(stranger) == (403, "forbidden", None)
    assert sign_up(stranger, invitation=secret) == (403, "forbidden", None)
    assert "/signup" not in stranger.get("/signin").text
    page = stranger.get("/signup")
    assert page.status_code == 403 and "Sign-up is closed on this server" in page.text and "<form" not in page.text
    posted = stranger.post("/signup", data={"username": "Dora", "password": PASSWORD})
    assert posted.status_code == 403 and "Sign-up is closed" in posted.text
    # a superuser can still create users
    assert root.post("/admin/users/new", data={"username": "Dora"}).status_code == 200


def test_an_invitation_link_creates_exactly_one_account(open_with_root):
    site, root = open_with_root(signups="invite")
    secret = invite(root)
    stranger = site.visitor()
    closed = stranger.get("/signup")
    assert closed.status_code == 403 and "needs an invitation" in closed.text
    moved = stranger.get(f"/invite/{secret}")
    assert moved.status_code == 303 and moved.location == "/signup" and secret not in moved.location
    assert "<form" in stranger.get("/signup").text
    # an error in the form does not use up the invitation
    weak = stranger.post("/signup", data={"username": "Dora", "password": "12345678"})
    assert weak.status_code == 422
    made = stranger.post("/signup", data={"username": "Dora", "password": PASSWORD})
    assert made.status_code == 200 and "Recovery codes" in made.text
    assert stranger.client.get_cookie("rkv_invitation") is None
    again = site.visitor()
    again.get(f"/invite/{secret}")
    used = again.get("/signup")
    assert used.status_code == 410 and "already used" in used.text
    assert sign_up(again, "Eve", invitation=secret) == (410, "link_expired", None)
    page = root.get("/admin/invitations").text
    assert statuses(root) == ["used"] and "Dora" in page and secret not in page


def test_an_invitation_creates_exactly_one_account_through_the_api(open_with_root):
    site, root = open_with_root(signups="invite")
    secret = invite(root)
    assert sign_up(site.visitor()) == (403, "forbidden", "invitation")
    assert sign_up(site.visitor(), invitation="nonsense") == (410, "link_expired", None)
    assert sign_up(site.visitor(), invitation="\ud800")[0] in {400, 410}
    assert sign_up(site.visitor(), "Root", invitation=secret) == (409, "name_taken", None)
    assert sign_up(site.visitor(), invitation=secret) == (201, None, None)
    assert sign_up(site.visitor(), "Eve", invitation=secret) == (410, "link_expired", None)
    titles = [event["title"] for event in site.program("Root").get("/api/v1/events").json["events"]]
    assert "Signed up" in titles
    log = root.get("/admin/audit").text
    assert "Invitation created" in log and secret not in log


def test_a_revoked_or_expired_invitation_is_refused(open_with_root):
    site, root = open_with_root(signups="invite")
    revoked = invite(root)
    answer = root.post("/admin/invitations/1/revoke")
    assert answer.status_code == 303
    assert "revoked" in root.get(answer.location).text and statuses(root) == ["revoked"]
    assert sign_up(site.visitor(), invitation=revoked) == (410, "link_expired", None)
    # already revoked, or unknown
    for number in ("1", "99"):
        assert root.post(f"/admin/invitations/{number}/revoke").status_code == 404
    services = site.app.extensions["realtime_kv"]
    expired = invite(root, days="1")
    now = services.accounts.context.clock
    services.accounts.context.clock = lambda: now() + 25 * 60 * 60 * 1000
    assert sign_up(site.visitor(), invitation=expired) == (410, "link_expired", None)
    assert statuses(root) == ["expired", "revoked"]


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"note": "x" * 201, "days": "7"}, "at most 200 characters"),
        ({"note": "two\nlines", "days": "7"}, "on one line"),
        ({"note": "", "days": "0"}, "1 to 365 days"),
        ({"note": "", "days": "many"}, "Choose for how many days"),
        ({"note": ""}, "Choose for how many days"),
    ],
)
def test_an_invalid_invitation_form_explains_the_error(open_with_root, form, words):
    _, root = open_with_root(signups="invite")
    page = root.post("/admin/invitations", data=form)
    assert page.status_code == 400 and words in page.text


def test_invitation_notes_are_html_escaped(open_with_root):
    _, root = open_with_root(signups="on")
    invite(root, note="Dora")
    root.post("/admin/invitations", data={"note": "<script>alert(1)</script>", "days": "7"})
    page = root.get("/admin/invitations").text
    assert "<script>alert" not in page and "&lt;script&gt;" in page
    assert "invitations have no effect" in page


@pytest.mark.parametrize("name", [" Ada ", "Ada\u00a0", "\tAda"])
def test_spaces_around_a_username_are_trimmed_everywhere(site, name):
    visitor = site.visitor()
    made = visitor.call("sign_up", username=name, password=PASSWORD)
    assert made.status_code == 201 and made.json["user"]["username"] == "Ada"
    assert visitor.call("sign_in", username=name, password=PASSWORD).status_code == 200
    by_form = site.visitor().post("/signin", data={"username": name, "password": PASSWORD})
    assert by_form.status_code == 303
    code, new = made.json["recovery_codes"][0], "a-quite-different-passphrase"
    assert visitor.call("recover", username=name, code=code, new_password=new).status_code == 204
    assert visitor.call("sign_in", username="ada", password=new).status_code == 200
