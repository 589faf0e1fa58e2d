"""`reghar view`: what the local server answers, to whom, and how it ends."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.browser import chromium
from helpers.page_runs import TASK, write_run

from reghar.report.build import build_report
from reghar.report.page.build import PageRun
from reghar.report.page.view import PageServer


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageServer]:
    run = write_run(tmp_path_factory.mktemp("runs") / "run")
    started = PageServer([PageRun(run=run, report=build_report(run, replicates=20))])
    thread = threading.Thread(target=started.serve_forever)
    thread.start()
    yield started
    started.shutdown()
    thread.join()
    started.server_close()


def ask(server: PageServer, path: str, **headers: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(*server.server_address[:2], timeout=30)
    connection.request(
        "GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()}
    )
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, content


def test_it_listens_on_the_loopback_alone(server: PageServer) -> None:
    assert server.server_address[0] == "127.0.0.1"
    assert len(server.token) >= 20


def test_the_page_and_its_blocks_need_the_token(server: PageServer) -> None:
    assert ask(server, f"/{server.token}/")[0] == 200
    assert ask(server, f"/{server.token}/data/samples-0-0")[0] == 200
    for path in (
        "/",
        "/data/samples-0-0",
        f"/{server.token[:-1]}/",
        f"/{server.token}",
        f"/{server.token}/data/samples-9-0",
        f"/{server.token}/data/../../etc/passwd",
        f"/{server.token}/run.json",
    ):
        assert ask(server, path) == (404, b"")


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "localhost:1"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
    ],
)
def test_other_hosts_and_origins_are_refused(server: PageServer, headers: dict[str, str]) -> None:
    assert ask(server, f"/{server.token}/", **headers) == (403, b"")


def test_samples_are_fetched_on_demand_in_the_browser(server: PageServer, tmp_path: Path) -> None:
    with chromium(tmp_path) as browser:
        browser.open(server.address)
        assert not any("/data/" in url for url in browser.requests())
        browser.open(f"{server.address}#task={TASK}&problem=sum-0&sample=2&budget=256")
        assert "equal to the gold 40" in browser.text(".why")
        urls = {url for url in browser.requests() if not url.startswith(("data:", "about:"))}
        assert {url for url in urls if "/data/" in url} == {f"{server.address}data/samples-0-0"}
        assert all(url.startswith(server.address) for url in urls)
        assert browser.complaints() == []


def test_ctrl_c_ends_it_cleanly(tmp_path: Path) -> None:
    write_run(tmp_path / "run", problems=2, samples=2)
    process = subprocess.Popen(
        [sys.executable, "-m", "reghar", "view", str(tmp_path / "run")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith("http://127.0.0.1:")
    process.send_signal(signal.SIGINT)
    rest, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    assert rest.strip() == ""
    assert errors == ""
