"""A command line in short: what tells processes apart stays, what looks like a secret does not."""

from __future__ import annotations

import shlex

import pytest

from forensics.capture.command import LONGEST, in_short


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("/srv/.venv/bin/python -m uvicorn orders.api:app --port 8001", "uvicorn orders.api:app --port 8001"),
        ("/srv/.venv/bin/python3.12 /srv/.venv/bin/uvicorn auth:app --port 80", "uvicorn auth:app --port 80"),
        ("python -u -X dev -W ignore /srv/orders/main.py --fast", "orders/main.py --fast"),
        ("python3 main.py", "main.py"),
        ("python -Im orders.worker /etc/orders/worker.toml", "orders.worker …/worker.toml"),
        ("python -c 'import   time; time.sleep(9)'", "python -c import time; time.sleep(9)"),
        ("python3.13t", "python3.13t"),
        ("python -i", "python -i"),
        ("node --max-old-space-size=512 -r ./tracing.cjs /srv/orders/server.js", "orders/server.js"),
        ("/usr/bin/node -e 'serve()'", "node -e serve()"),
        ("/srv/node_modules/.bin/node /srv/node_modules/.bin/next start", "next start"),
        ("/opt/orders/target/release/axum_leaking --listen 0.0.0.0:80", "axum_leaking --listen 0.0.0.0:80"),
        ("'gunicorn: worker [orders.api:app]'", "gunicorn: worker [orders.api:app]"),
        ("", "known as"),
    ],
)
def test_what_is_shown(line, shown):
    assert in_short(shlex.split(line), "known as") == shown


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["serve", "--db-password", "hunter2", "--port", "80"], "serve --db-password *** --port 80"),
        (["serve", "--db-password=hunter2", "x"], "serve --db-password=*** x"),
        (["serve", "--token", "--port", "80"], "serve --token --port 80"),
        (["serve", "redis://orders:hunter2@cache:6379/0"], "serve redis://***@cache:6379/0"),
        (["serve", "http://cache/?api_key=hunter2&page=2"], "serve http://cache/?api_key=***&page=2"),
        (["serve", "-H", "Authorization: Bearer hunter2"], "serve -H Authorization: ***"),
        (
            ["serve", "--env", '{"AWS_SESSION_TOKEN": "hunter2", "A": "b"}'],
            'serve --env {"AWS_SESSION_TOKEN": ***, "A": "b"}',
        ),
        (["serve", "AKIAIOSFODNN7EXAMPLE"], "serve ***"),
        (["serve", "--id=AKIAIOSFODNN7EXAMPLE"], "serve --id=***"),
        (["python", "-c", "key = 'wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY12'"], "python -c key = '***'"),
        (["serve", "-----BEGIN RSA PRIVATE KEY-----\nhunter2"], "serve ***"),
        (["serve", "--token-file", "/run/secrets/orders"], "serve --token-file …/orders"),
    ],
)
def test_secrets_are_masked(words, shown):
    assert in_short(words, "serve") == shown


def test_a_long_one_is_cut_after_it_was_masked():
    secret = "AKIAIOSFODNN7EXAMPLE"
    shown = in_short(["serve", "x" * (LONGEST - 12), secret, "more"], "serve")
    assert len(shown) == LONGEST
    assert shown.endswith("…")
    assert "AKI" not in shown
