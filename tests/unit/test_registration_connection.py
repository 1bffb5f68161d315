# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the metrics of Argo CD's application controller say about its connections, and servers that say nothing."""

from __future__ import annotations

import http.server
import threading
import time
import typing as t
from concurrent.futures import ThreadPoolExecutor

import pytest
import urllib3

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _registration_connection as connection
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import ApiError, HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._kube import Kube
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_connection import Connection

# As a controller of Argo CD 3.5 writes it.
METRICS = r"""
# HELP argocd_app_info Information about application.
# TYPE argocd_app_info gauge
argocd_app_info{autosync_enabled="true",dest_server="https://a:6443",health_status="Healthy",name="web"} 1
# HELP argocd_cluster_api_resources Number of monitored kubernetes API resources.
# TYPE argocd_cluster_api_resources gauge
argocd_cluster_api_resources{server="https://a:6443"} 56
# TYPE argocd_cluster_cache_age_seconds gauge
argocd_cluster_cache_age_seconds{server="https://a:6443"} 12
argocd_cluster_cache_age_seconds{server="https://b.example.com"} 3
argocd_cluster_cache_age_seconds{server="https://c"} -1
# TYPE argocd_cluster_connection_status gauge
argocd_cluster_connection_status{k8s_version="1.36",server="https://a:6443"} 1
argocd_cluster_connection_status{k8s_version="",server="https://b.example.com"} 0
argocd_cluster_connection_status{k8s_version="",server="https://c"} 1
# TYPE argocd_cluster_info gauge
argocd_cluster_info{k8s_version="1.36",name="a \"quoted\" } name",server="https://a:6443"} 1
argocd_cluster_info{k8s_version="1.35",name="b",server="https://b.example.com"} 1
argocd_cluster_labels{label_a="b",name="d",server="https://d"} 1
"""
SEEN = {
    "https://a:6443": Connection("Successful", "1.36"),
    "https://b.example.com:443": Connection("Failed", "1.35"),
    "https://c:443": Connection("Unknown"),
}


def test_connections_out_of_metrics() -> None:
    assert connection.parsed(METRICS.splitlines()) == SEEN
    # Nothing says in which order the families come.
    assert connection.parsed(reversed(METRICS.splitlines())) == SEEN


@pytest.mark.parametrize(
    ("sample", "expected"),
    [
        (r'{server="https://x/a\\b\"c",k8s_version="1"} 1', Connection("Successful", "1")),
        (r'{server="https://x/a\\b\"c",k8s_version="1\n2"} 1', Connection("Successful", "1\n2")),
        (r'{ server = "https://x/a\\b\"c" , k8s_version="1", } 1 1700000000000', Connection("Successful", "1")),
        (r'{k8s_version=",server=",server="https://x/a\\b\"c"} 0', Connection("Failed", ",server=")),
        (r'{server="https://x/a\\b\"c"} 1e0', Connection("Successful")),
        (r'{server="https://x/a\\b\"c"} many', None),
        (r'{server="https://x/a\\b\"c}', None),
        (r'{k8s_version="1"} 1', None),
        (r"{} 1", None),
    ],
)
def test_labels_and_values(sample: str, expected: Connection | None) -> None:
    lines = ["# TYPE argocd_cluster_connection_status gauge", f"argocd_cluster_connection_status{sample}"]
    server = 'https://x:443/a\\b"c'
    assert connection.parsed(lines) == ({server: expected} if expected else {})


@pytest.mark.parametrize("text", ["", "<!doctype html>\n<title>Log in</title>", '{"error": 1}'])
def test_what_is_no_metrics_is_not_known(text: str) -> None:
    assert connection.parsed(text.splitlines()) is None


def test_metrics_without_clusters_are_known_to_be_empty() -> None:
    assert connection.parsed(["# TYPE go_goroutines gauge", "go_goroutines 12"]) == {}


class Server:
    """Answers every request with what a function writes; `paths` are those that were asked for."""

    def __init__(self, answer: t.Callable[[http.server.BaseHTTPRequestHandler], None]) -> None:
        self.paths: list[str] = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(handler) -> None:  # noqa: N805
                self.paths.append(handler.path)
                answer(handler)

            def log_message(self, *arguments: t.Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/metrics"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def serve() -> t.Iterator[t.Callable[..., Server]]:
    servers: list[Server] = []

    def start(answer: t.Callable[[t.Any], None]) -> Server:
        servers.append(Server(answer))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def metrics(handler: t.Any, status: int = 200, text: str = METRICS) -> None:
    handler.send_response(status)
    handler.end_headers()
    handler.wfile.write(text.encode())


def chunked(handler: t.Any) -> None:
    """As Go sends what is longer than its buffer, cut anywhere."""
    handler.protocol_version = "HTTP/1.1"
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    data = METRICS.encode()
    for begin in range(0, len(data), 77):
        piece = data[begin : begin + 77]
        handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
    handler.wfile.write(b"0\r\n\r\n")


@pytest.mark.parametrize("answer", [metrics, chunked])
def test_metrics_at_an_address(serve: t.Callable[..., Server], answer: t.Callable[[t.Any], None]) -> None:
    assert connection.read(None, "argocd", serve(answer).url) == SEEN


@pytest.mark.parametrize("answer", [
    lambda handler: metrics(handler, 503),
    lambda handler: metrics(handler, text="<title>Log in</title>"),
    lambda handler: handler.wfile.write(b"nonsense"),
    lambda handler: None,
])  # fmt: skip
def test_other_answers_are_not_known(serve: t.Callable[..., Server], answer: t.Callable[[t.Any], None]) -> None:
    assert connection.read(None, "argocd", serve(answer).url) is None


def test_a_redirect_is_not_followed(serve: t.Callable[..., Server]) -> None:
    target = serve(metrics)

    def answer(handler: t.Any) -> None:
        handler.send_response(302)
        handler.send_header("Location", target.url)
        handler.end_headers()

    assert connection.read(None, "argocd", serve(answer).url) is None
    assert target.paths == []


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/metrics", "http://[::1"])
def test_addresses_that_do_not_answer_are_not_known(url: str) -> None:
    assert connection.read(None, "argocd", url) is None


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/metrics", "127.0.0.1:8082", "/metrics"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(HubspokeError, match=f"metrics_url {url} is no URL"):
        connection.read(None, "argocd", url)


def hanging(handler: t.Any) -> None:
    time.sleep(3)


def dripping(handler: t.Any) -> None:
    metrics(handler)
    try:
        for _number in range(60):
            handler.wfile.write(b"# and so on\n")
            handler.wfile.flush()
            time.sleep(0.05)
    except OSError:
        pass


@pytest.mark.parametrize("answer", [hanging, dripping])
def test_a_server_that_takes_its_time_is_left_alone(
    serve: t.Callable[..., Server], answer: t.Callable[[t.Any], None]
) -> None:
    start = time.monotonic()
    assert connection.read(None, "argocd", serve(answer).url, timeout=0.4) is None
    assert time.monotonic() - start < 2.5


@pytest.mark.parametrize("limit", ["_LARGEST", "_LONGEST_LINE"])
def test_an_answer_without_end_is_left_alone(
    serve: t.Callable[..., Server], monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    line = "x" * 200_000 if limit == "_LONGEST_LINE" else "# and so on\n" * 20_000
    server = serve(lambda handler: metrics(handler, text=METRICS + line))
    assert connection.read(None, "argocd", server.url) == SEEN or limit == "_LONGEST_LINE"
    monkeypatch.setattr(connection, limit, 100_000)
    assert connection.read(None, "argocd", server.url) is None


class FakeKube:
    """An API server with pods and Services, whose proxies lead to a web server."""

    def __init__(self, server: Server | None, pods: t.Any, service: bool | int = True) -> None:
        self._server, self._pods, self._service = server, pods, service

    def request(self, method: str, path: str, query: t.Any = None) -> t.Any:
        assert path == "/api/v1/namespaces/argocd/pods"
        if isinstance(self._pods, int):
            raise ApiError("no", self._pods)
        return {"items": self._pods[: query["limit"]]}

    def get_path(self, path: str) -> t.Any:
        assert path == "/api/v1/namespaces/argocd/services/argocd-metrics"
        if not isinstance(self._service, bool):
            raise ApiError("no", self._service)
        return {} if self._service else None

    def open(self, path: str, timeout: float) -> t.Any:
        assert self._server
        url = self._server.url.removesuffix("/metrics") + path
        return urllib3.PoolManager().request("GET", url, preload_content=False, retries=False)


def pod(pod_name: str, phase: str = "Running", **port: t.Any) -> t.Any:
    return {
        "metadata": {"name": pod_name},
        "spec": {"containers": [{"ports": [{"containerPort": 1, "name": "x"}, port] if port else []}]},
        "status": {"phase": phase},
    }


ROOT = "/api/v1/namespaces/argocd"
SERVICE = f"{ROOT}/services/argocd-metrics:8082/proxy/metrics"
POD = f"{ROOT}/pods/a:8082/proxy/metrics"


@pytest.mark.parametrize(
    ("pods", "service", "expected"),
    [
        ([pod("a")], True, [SERVICE]),
        ([], True, [SERVICE]),
        (403, True, [SERVICE]),
        (403, 403, [SERVICE]),
        (403, False, []),
        ([pod("a")], False, [POD]),
        ([pod("a", containerPort=9, name="metrics")], False, [f"{ROOT}/pods/a:9/proxy/metrics"]),
        ([pod("a", "Pending")], False, []),
        # Each of several controllers knows only its own clusters.
        ([pod("a"), pod("b")], True, [POD, POD.replace("/a:", "/b:")]),
        ([pod("a"), pod("b", "Failed")], True, [SERVICE]),
    ],
)
def test_where_metrics_are_looked_for(
    serve: t.Callable[..., Server], pods: t.Any, service: bool | int, expected: list[str]
) -> None:
    server = serve(metrics)
    found = connection.read(t.cast("Kube", FakeKube(server, pods, service)), "argocd")
    assert sorted(server.paths) == expected
    assert found == (SEEN if expected else None)


def test_controllers_complete_each_other(serve: t.Callable[..., Server]) -> None:
    def answer(handler: t.Any) -> None:
        mine = {"/a:": "https://a", "/b:": "https://b"}
        server = next((url for part, url in mine.items() if part in handler.path), None)
        if server is None:
            metrics(handler, 503)
        else:
            metrics(handler, text=f'# TYPE x gauge\nargocd_cluster_connection_status{{server="{server}"}} 1\n')

    fake = FakeKube(serve(answer), [pod("a"), pod("b"), pod("c")])
    found = connection.read(t.cast("Kube", fake), "argocd")
    assert found == {"https://a:443": Connection("Successful"), "https://b:443": Connection("Successful")}


class Configuration:
    """What Kube takes of a configuration."""

    ssl_ca_cert = cert_file = key_file = proxy = no_proxy = tls_server_name = refresh_api_key_hook = None
    verify_ssl = True
    username = password = ""

    def __init__(self, host: str) -> None:
        self.host = host

    def get_api_key_with_prefix(self, name: str) -> str:
        return "Bearer abc"


def test_reading_through_the_proxy_gives_its_connection_back(serve: t.Callable[..., Server]) -> None:
    """A pool that blocks would wait for ever for the third of two connections."""
    seen: list[str] = []

    def answer(handler: t.Any) -> None:
        seen.append(handler.headers["Authorization"])
        # One that is read to its end, and one that is not even looked at, on connections that could be used again.
        handler.protocol_version = "HTTP/1.1"
        handler.close_connection = False
        text = METRICS * 100
        handler.send_response(200 if len(seen) % 2 else 503)
        handler.send_header("Content-Length", str(len(text)))
        handler.end_headers()
        handler.wfile.write(text.encode())

    kube = Kube(Configuration(serve(answer).url.removesuffix("/metrics")), connections=2)

    def ask() -> list[t.Any]:
        return [connection._read_one(lambda: kube.open("/x", 5), time.monotonic() + 5) for _number in range(6)]

    pool = ThreadPoolExecutor(1)
    try:
        assert pool.submit(ask).result(timeout=5) == [SEEN, None] * 3
    finally:
        pool.shutdown(wait=False)
    # Asked for once each: a proxy's 503 means that nobody is there.
    assert seen == ["Bearer abc"] * 6
