"""Settings are read once, and one error names every bad setting."""

import socket
import stat
import threading
from pathlib import Path

import pytest

from realtime_kv.config import Config, ConfigError, cautions, secret_key, unknown_settings

KEY = "0123456789abcdef0123456789abcdef"


def problems(**environ):
    with pytest.raises(ConfigError) as refused:
        Config.from_environ({f"RKV_{name}": value for name, value in environ.items()})
    return str(refused.value).splitlines()


def test_defaults_apply_without_environment_variables():
    assert Config.from_environ({}) == Config()
    assert (Config().host, Config().port, Config().data_dir) == ("127.0.0.1", 5000, Path("data"))


def test_variables_become_settings():
    config = Config.from_environ(
        {
            "RKV_PORT": "8080",
            "RKV_DATA_DIR": "/srv/kv",
            "RKV_ORIGINS": "https://one.example, http://two.example:8000/",
            "RKV_QUOTA_BYTES": "1_000_000",
            "RKV_RATE_LIMITS": "off",
        }
    )
    assert config.port == 8080
    assert config.data_dir == Path("/srv/kv")
    assert config.origins == ("https://one.example", "http://two.example:8000")
    assert config.quota_bytes == 1_000_000
    assert config.rate_limits is False


def test_arguments_override_the_environment():
    assert Config.from_environ({"RKV_PORT": "8080", "RKV_HOST": "::1"}, port=0, host=None).port == 0
    assert Config.from_environ({"RKV_PORT": "no"}, port="9").port == 9


def test_an_empty_variable_counts_as_unset():
    assert Config.from_environ({"RKV_PORT": "", "RKV_PUBLIC_URL": ""}) == Config()


def test_one_error_names_every_bad_setting():
    lines = problems(PORT="http", QUOTA_KEYS="0", PUBLIC_URL="kv.example.org", RATE_LIMITS="maybe", VALUE_BYTES="1e3")
    assert [line.split(":")[0] for line in lines] == [
        "RKV_PORT",
        "RKV_PUBLIC_URL",
        "RKV_VALUE_BYTES",
        "RKV_QUOTA_KEYS",
        "RKV_RATE_LIMITS",
    ]
    assert "'http'" in lines[0] and "0 to 65535" in lines[0]


@pytest.mark.parametrize("port", ["-1", "65536", "5000.0", " ", "٣", "0x50"])
def test_invalid_ports_are_refused(port):
    assert len(problems(PORT=port)) == 1


@pytest.mark.parametrize(
    "url", ["ftp://a", "https://a/path", "https://", "https://u:p@a", "https://a?b", "https://a:x", "*", "null",
     "file:///a", "ws://a", "data:a", "javascript:a", "blob:https://a", "https://a b", "https://[::1", "https://1.2.3",
     "https://256.0.0.1", "https://a..b", "https://a_ü%41", "https://[fe80::1%eth0]", "https://a:65536", "//a", "a"]
)  # fmt: skip
def test_an_origin_is_scheme_host_and_port_only(url):
    assert problems(PUBLIC_URL=url) and problems(ORIGINS=f"https://fine.example {url}")


def test_several_workers_are_refused_with_the_reason():
    for url in ("", "sqlite:////tmp/somewhere.db"):
        (line,) = problems(WORKERS="2", DATABASE_URL=url)
        assert line.startswith("RKV_WORKERS: only one process")
    (line,) = problems(WORKERS="2", DATABASE_URL="postgresql://u@db/kv")
    assert line.startswith("RKV_WORKERS: only one process")
    assert problems(WORKERS="0") and problems(WORKERS="65")
    assert Config.from_environ({"RKV_WORKERS": "1"}).workers == Config().workers == 1


def test_other_databases_are_refused():
    assert problems(DATABASE_URL="mysql://u:topsecret@db/kv")
    assert not any("topsecret" in line for line in problems(DATABASE_URL="mysql://u:topsecret@db/kv"))


def test_a_postgresql_url_has_all_parameters_of_libpq():
    url = "postgresql://u:pw@one:5433,two/kv?sslmode=verify-full&passfile=/etc/kv.pass"
    config = Config.from_environ({"RKV_DATABASE_URL": url})
    assert config.postgres_url == url
    assert "pw@" not in repr(config)
    assert Config(database_url="sqlite:////elsewhere.db").postgres_url is None


@pytest.mark.parametrize(
    "url", ["postgresql://u:topsecret@db/kv?no=1", "postgresql://u:topsecret@[::1", "postgres://u:topsecret%zz@db"]
)
def test_a_bad_postgresql_url_is_refused_without_its_password(url):
    (line,) = problems(DATABASE_URL=url)
    assert "connection string" in line
    assert "topsecret" not in line


def test_setting_can_be_read_from_a_file(tmp_path):
    file = tmp_path / "key"
    file.write_text(KEY + "\n")
    assert Config.from_environ({"RKV_SECRET_KEY_FILE": str(file)}).secret_key == KEY


def test_unusable_setting_file_is_reported_as_a_bad_setting(tmp_path):
    (tmp_path / "empty").touch()
    lines = problems(
        PORT_FILE=str(tmp_path / "none"),
        SECRET_KEY_FILE=str(tmp_path / "empty"),
        HOST="a",
        HOST_FILE="b",
    )
    assert len(lines) == 3 and all("_FILE" in line for line in lines)


def test_secrets_appear_in_neither_repr_nor_errors():
    config = Config.from_environ({"RKV_SECRET_KEY": KEY, "RKV_DATABASE_URL": "sqlite:////tmp/somewhere.db"})
    assert KEY not in repr(config) and "somewhere" not in repr(config)
    assert "tooshort" not in problems(SECRET_KEY="tooshort")[0]


def test_url_is_derived_from_host_and_port():
    assert Config(port=5001).url == "http://127.0.0.1:5001"
    assert Config(port=80).url == "http://127.0.0.1"
    assert Config(host="192.0.2.1", port=9).url == "http://192.0.2.1:9"
    assert Config(host="0.0.0.0", port=9).url == Config(host="::", port=9).url == "http://127.0.0.1:9"
    assert Config(host="::1", port=9).url == "http://[::1]:9"


def test_public_url_replaces_the_url_and_https_makes_cookies_secure():
    config = Config.from_environ({"RKV_PUBLIC_URL": "https://KV.example.org:443/"})
    assert config.url == "https://kv.example.org"
    assert config.secure and not Config().secure
    assert Config(public_url="https://kv.example.org/") == config


def test_machine_names_are_own_hosts_only_if_other_machines_can_connect(monkeypatch):
    monkeypatch.setattr(socket, "gethostname", lambda: "Laptop.example")
    assert Config().own_hosts == Config(host="127.0.0.2").own_hosts == {"127.0.0.1", "localhost", "::1"}
    assert Config(host="0.0.0.0").own_hosts >= {"laptop.example", "laptop.local"}
    assert "laptop.local" not in Config(host="::", public_url="http://kv.example").own_hosts
    monkeypatch.setattr(socket, "gethostname", lambda: "not a name")
    assert Config(host="KV.lan").own_hosts == {"127.0.0.1", "localhost", "::1", "kv.lan"}


def test_hosts_and_origins_are_normalized_as_browsers_send_them():
    config = Config.from_environ(
        {
            "RKV_PUBLIC_URL": "http://Bücher.example.:80",
            "RKV_ORIGINS": "https://straße.example http://[2001:DB8::0:1]:80 capacitor://localhost "
            "chrome-extension://abcdefghijklmnopabcdefghijklmnop moz-extension://6e1f-11 tauri://localhost",
            "RKV_HOSTS": "KV.lan, MÜNCHEN.example [::FFFF:1.2.3.4]",
        }
    )
    assert config.public_url == "http://xn--bcher-kva.example"
    assert config.origins[:2] == ("https://xn--strae-oqa.example", "http://[2001:db8::1]")
    assert config.origins[2:] == (
        "capacitor://localhost",
        "chrome-extension://abcdefghijklmnopabcdefghijklmnop",
        "moz-extension://6e1f-11",
        "tauri://localhost",
    )
    assert config.hosts == ("kv.lan", "xn--mnchen-3ya.example", "::ffff:102:304")


@pytest.mark.parametrize("url", ["capacitor://localhost", "chrome-extension://abc", "tauri://localhost"])
def test_app_schemes_are_valid_origins_but_not_public_urls(url):
    assert Config.from_environ({"RKV_ORIGINS": url}).origins == (url,)
    assert problems(PUBLIC_URL=url)


def test_origins_and_hosts_that_cannot_be_allowed_are_refused_with_a_reason():
    assert "sandboxed frame" in problems(ORIGINS="https://a.example null")[0]
    assert "no wildcard" in problems(ORIGINS="*")[0]
    assert "without a port" in problems(HOSTS="kv.example:8080")[0]


def test_database_path_is_absolute_and_defaults_to_the_data_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert Config().database_path == tmp_path / "data" / "realtime_kv.db"
    assert Config(database_url="sqlite:////elsewhere.db").database_path == Path("/elsewhere.db")


def test_unknown_variable_is_reported_with_the_closest_setting():
    assert unknown_settings({"RKV_PORTS": "1", "RKV_PORT_FILE": "f", "PATH": "/bin"}) == [
        "RKV_PORTS is not a setting; did you mean RKV_PORT?"
    ]


def test_secret_key_is_created_once_and_readable_only_by_its_owner(tmp_path):
    config = Config(data_dir=tmp_path / "data")
    key = secret_key(config)
    assert len(key) >= 32 and secret_key(config) == key
    assert stat.S_IMODE((tmp_path / "data" / "secret_key").stat().st_mode) == 0o600
    assert [file.name for file in (tmp_path / "data").iterdir()] == ["secret_key"]
    assert secret_key(Config(data_dir=tmp_path / "other")) != key
    assert secret_key(Config(data_dir=tmp_path / "data", secret_key=KEY)) == KEY


def test_concurrent_creation_of_the_secret_key_yields_one_key(tmp_path):
    config, keys = Config(data_dir=tmp_path), []
    threads = [threading.Thread(target=lambda: keys.append(secret_key(config))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keys) == 8 and len(set(keys)) == 1


def test_damaged_secret_key_is_refused(tmp_path):
    (tmp_path / "secret_key").write_text("")
    with pytest.raises(ConfigError, match="secret_key"):
        secret_key(Config(data_dir=tmp_path))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, []),
        ({"rate_limits": False}, []),
        ({"public_url": "https://kv.example.org", "proxies": 1}, []),
        ({"public_url": "https://kv.example.org", "proxies": 1, "host": "0.0.0.0"}, []),
        ({"host": "0.0.0.0"}, ["RKV_HOST"]),
        ({"host": "10.0.0.7", "public_url": "http://kv.example.org"}, ["RKV_HOST"]),
        ({"public_url": "https://kv.example.org"}, ["RKV_PUBLIC_URL"]),
        ({"host": "10.0.0.7", "rate_limits": False}, ["RKV_HOST", "RKV_RATE_LIMITS"]),
        ({"database_url": "postgresql://kv@db/kv", "backup_hours": 24}, ["RKV_BACKUP_HOURS"]),
    ],
)
def test_settings_that_mislead_cause_a_warning_at_start(settings, said):
    assert [sentence.split()[0] for sentence in cautions(Config(**settings))] == said
