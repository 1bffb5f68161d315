# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The Kubernetes client of every module here: kubernetes.core's authentication over plain HTTP.

kubernetes.core reads the arguments, environment and kubeconfig (exec plugins, proxies, impersonation
included), so that its users find what they know. The requests themselves go straight through a pool of
connections: the dynamic client discovers group by group, keeps a cache file per server in the system's
temporary folder, and wraps every answer, which costs more than the API server does.
"""

from __future__ import annotations

import json
import ssl
import threading
import typing as t
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import ApiError, HubspokeError

IMPORT_ERROR: ImportError | None = None
try:
    # By itself, because it needs no library: tools read the arguments where none is installed.
    from ansible_collections.kubernetes.core.plugins.module_utils.args_common import AUTH_ARG_SPEC
except ImportError as error:
    IMPORT_ERROR = error
    AUTH_ARG_SPEC = {}
try:
    import urllib3
    from ansible_collections.kubernetes.core.plugins.module_utils.k8s import client as k8s_client
    from kubernetes.config import ConfigException, kube_config
except ImportError as error:
    IMPORT_ERROR = error

Object = dict[str, t.Any]

CONNECTION_SPEC: dict[str, t.Any] = AUTH_ARG_SPEC
"""Argument spec of the connection options: kubernetes.core's own."""

_AGGREGATED = ";".join(("application/json", "g=apidiscovery.k8s.io", "v=v2", "as=APIGroupDiscoveryList"))
_APPLY = "application/apply-patch+yaml"
_MERGE = "application/merge-patch+json"
_JSON = "application/json"
_library = threading.Lock()


@dataclass(frozen=True)
class Resource:
    """One kind as the server serves it."""

    api_version: str
    kind: str
    plural: str
    namespaced: bool

    def path(self, namespace: str | None = None, name: str | None = None) -> str:
        """Path of the object, or of the collection where no name is given."""
        root = f"/api/{self.api_version}" if "/" not in self.api_version else f"/apis/{self.api_version}"
        if self.namespaced and namespace:
            root += f"/namespaces/{quote(namespace, safe='')}"
        return f"{root}/{self.plural}" + (f"/{quote(name, safe='')}" if name else "")


class Paths:
    """What follows from requests alone, whoever makes them: reading and deleting what may not be there."""

    def request(self, method: str, path: str, body: t.Any = None) -> Object:
        """One request, its answer as parsed JSON.

        :raises ApiError: an answer that is not a success.
        """
        raise NotImplementedError

    def get_path(self, path: str) -> Object | None:
        """What is at that path, None where nothing is."""
        try:
            return self.request("GET", path)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def delete_path(self, path: str, propagation: str = "Background", dry_run: bool = False) -> bool:
        """Delete what is at that path; False where nothing was.

        :arg propagation: Background, Foreground or Orphan.
        """
        try:
            # In the body: the server does not look at the query of a DELETE that has one.
            options = {"propagationPolicy": propagation, **({"dryRun": ["All"]} if dry_run else {})}
            self.request("DELETE", path, options)
        except ApiError as error:
            if error.status == 404:
                return False
            raise
        return True


class Kube(Paths):
    """A connection to one API server; safe to use from several threads.

    :arg configuration: A kubernetes.client.Configuration.
    :arg headers: Headers of every request (impersonation).
    :arg connections: How many requests may be under way at once.
    """

    def __init__(self, configuration: t.Any, headers: dict[str, t.Any] | None = None, connections: int = 16) -> None:
        self.host: str = (configuration.host or "").rstrip("/")
        self._configuration = configuration
        self._headers = headers or {}
        self._resources: dict[tuple[str, str], Resource] = {}
        self._discovered = False
        self._pool = _pool(configuration, connections)

    @classmethod
    def from_params(cls, params: t.Mapping[str, t.Any], connections: int = 16) -> Kube:
        """Connect with a module's connection options.

        :raises HubspokeError: a library is missing, or the kubeconfig cannot be used.
        """
        if IMPORT_ERROR:
            raise HubspokeError(
                f"A Python library is missing: {IMPORT_ERROR}.",
                "Install the packages of this collection's requirements into the Python that runs Ansible.",
            )
        options = {name: params.get(name) for name in CONNECTION_SPEC}
        # The library keeps what it reads in globals: files of its own making, and a default for the next connection.
        with _library:
            return cls._from_options(options, params.get("kubeconfig"), connections)

    @classmethod
    def _from_options(cls, options: dict[str, t.Any], kubeconfig: t.Any, connections: int) -> Kube:
        try:
            configuration = k8s_client._create_configuration(k8s_client._create_auth_spec(None, **options))
            return cls(configuration, k8s_client._create_headers(None, **options), connections)
        except (ConfigException, OSError, ValueError, KeyError, TypeError) as error:
            source = kubeconfig if isinstance(kubeconfig, str) else "the connection options"
            raise HubspokeError(
                f"The API server cannot be addressed with {source}: {error}.",
                "Check kubeconfig and context; `kubectl --kubeconfig ... config get-contexts` lists what is there.",
            ) from error
        finally:
            # Certificates of a kubeconfig pass through files, because ssl reads no other way. A forked worker
            # ends without its exit handlers, which would leave them behind.
            kube_config._cleanup_temp_files()
            # What one kubeconfig says becomes the library's default for the next connection, certificates included.
            k8s_client.kubernetes.client.Configuration.set_default(None)

    def request(
        self,
        method: str,
        path: str,
        body: t.Any = None,
        *,
        query: t.Mapping[str, t.Any] | None = None,
        content_type: str = _JSON,
        accept: str = _JSON,
        timeout: float = 60,
    ) -> Object:
        """One request, its answer as parsed JSON.

        :arg body: Object to send as JSON (also for the patch types, whose JSON form every server takes).
        :arg timeout: Seconds to wait for the answer.
        :raises ApiError: no answer (status 0), or one that is not a success.
        """
        url = self.host + path + (f"?{urlencode(query)}" if query else "")
        headers = {**self._headers, **self._authorization(), "Accept": accept}
        data = None
        if body is not None:
            data = json.dumps(body, separators=(",", ":")).encode()
            headers["Content-Type"] = content_type
        try:
            answer = self._pool.request(
                method, url, body=data, headers=headers, timeout=urllib3.Timeout(connect=5, read=timeout)
            )
        except urllib3.exceptions.HTTPError as error:
            raise ApiError(
                f"No answer from the API server {self.host}: {_cause(error)}.",
                0,
                remedy="Check that the cluster is running and that its address can be reached from here.",
            ) from error
        return self._parse(answer.status, answer.data, method, path)

    def open(self, path: str, timeout: float) -> t.Any:
        """What is at that path, for answers that are large or no JSON: a response of urllib3, its content not read yet.

        Asked for once: what is read through the API server's proxies may well not be there.

        :arg timeout: Seconds to wait for each part of the answer.
        :raises urllib3.exceptions.HTTPError: no answer.
        """
        return self._pool.request(
            "GET",
            self.host + path,
            headers={**self._headers, **self._authorization()},
            timeout=urllib3.Timeout(connect=timeout, read=timeout),
            retries=False,
            redirect=False,
            preload_content=False,
        )

    def _parse(self, status: int, data: bytes, method: str, path: str) -> Object:
        try:
            parsed: Object = json.loads(data) if data else {}
        except ValueError:
            parsed = {"message": data[:500].decode(errors="replace")}
        if status < 400:
            return parsed
        if status == 401:
            remedy = "The credential is not valid on this cluster (any more)."
        elif status == 403:
            remedy = "Give the account this right on the cluster."
        else:
            remedy = ""
        message = str(parsed.get("message") or f"{method} {path} failed").rstrip(".")
        raise ApiError(
            f"The API server {self.host} answered {status}: {message}.", status, str(parsed.get("reason", "")), remedy
        )

    def _authorization(self) -> dict[str, str]:
        configuration = self._configuration
        if configuration.refresh_api_key_hook:
            configuration.refresh_api_key_hook(configuration)
        token = configuration.get_api_key_with_prefix("authorization") or configuration.get_api_key_with_prefix(
            "BearerToken"
        )
        if token:
            return {"Authorization": token if " " in token else f"Bearer {token}"}
        if configuration.username and configuration.password:
            basic: dict[str, str] = urllib3.make_headers(
                basic_auth=f"{configuration.username}:{configuration.password}"
            )
            return {"Authorization": basic["authorization"]}
        return {}

    # What the server serves

    def discover(self) -> None:
        """Read every kind the server has, in two requests."""
        found: dict[tuple[str, str], Resource] = {}
        for root in ("/api", "/apis"):
            for group in self.request("GET", root, accept=f"{_AGGREGATED},{_JSON}").get("items", []):
                name = group.get("metadata", {}).get("name", "")
                for version in group.get("versions", []):
                    api_version = f"{name}/{version['version']}" if name else version["version"]
                    for item in version.get("resources", []):
                        kind = item.get("responseKind", {}).get("kind") or item.get("singularResource", "")
                        resource = Resource(api_version, kind, item["resource"], item.get("scope") == "Namespaced")
                        found[api_version, kind] = resource
        self._resources = found
        self._discovered = True

    def find(self, api_version: str, kind: str, refresh: bool = False) -> Resource | None:
        """The resource of a kind, None where the server does not have it.

        :arg refresh: Ask the server again if the kind was not there the last time (a CRD may have come).
        """
        if not self._discovered or (refresh and (api_version, kind) not in self._resources):
            self.discover()
        return self._resources.get((api_version, kind))

    def resource(self, api_version: str, kind: str) -> Resource:
        """The resource of a kind.

        :raises HubspokeError: the server does not have it.
        """
        found = self.find(api_version, kind, refresh=True)
        if found is None:
            raise HubspokeError(
                f"The API server {self.host} has no kind {kind} in {api_version}.",
                "Install its CustomResourceDefinition first, or correct apiVersion and kind.",
            )
        return found

    # Objects

    def get(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> Object | None:
        """One object, None where it does not exist."""
        return self.get_path(self.resource(api_version, kind).path(namespace, name))

    def list(
        self, api_version: str, kind: str, namespace: str | None = None, label_selector: str | None = None
    ) -> list[Object]:
        """Every object of a kind, in one namespace or all."""
        resource = self.resource(api_version, kind)
        found = self.pages(resource.path(namespace), label_selector)
        return [{"apiVersion": api_version, "kind": kind, **item} for item in found]

    def pages(self, path: str, label_selector: str | None = None) -> t.Iterator[Object]:
        """Every object of a collection, 500 at a time: of what is not kept nothing stays in memory."""
        query: dict[str, t.Any] = {"limit": 500}
        if label_selector:
            query["labelSelector"] = label_selector
        while True:
            page = self.request("GET", path, query=query)
            yield from page.get("items") or []
            query["continue"] = (page.get("metadata") or {}).get("continue")
            if not query["continue"]:
                return

    def apply_path(
        self, path: str, body: Object, field_manager: str, *, dry_run: bool = False, force: bool = True
    ) -> Object:
        """Server-side apply.

        :arg force: Take over fields that another manager set to another value.
        :raises ApiError: status 409 names the other managers when force is false.
        """
        query = {"fieldManager": field_manager, "force": str(force).lower(), "fieldValidation": "Strict"}
        if dry_run:
            query["dryRun"] = "All"
        return self.request("PATCH", path, body, query=query, content_type=_APPLY)

    def apply(self, body: Object, field_manager: str, *, dry_run: bool = False, force: bool = True) -> Object:
        """Server-side apply of an object to where its own apiVersion, kind, namespace and name say."""
        resource = self.resource(body["apiVersion"], body["kind"])
        metadata = body["metadata"]
        path = resource.path(metadata.get("namespace"), metadata["name"])
        return self.apply_path(path, body, field_manager, dry_run=dry_run, force=force)

    def merge(self, path: str, body: Object) -> Object:
        """JSON merge patch."""
        return self.request("PATCH", path, body, content_type=_MERGE)

    def version(self) -> str:
        """The server's version, as in v1.36.3."""
        return str(self.request("GET", "/version").get("gitVersion", ""))


def _pool(configuration: t.Any, connections: int) -> t.Any:
    """A connection pool with the configuration's TLS settings and proxy, its certificates already read."""
    context = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
    # API servers of development tools sign without the extensions that strict checking asks for.
    context.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
    if not configuration.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, configuration.key_file)
    options: dict[str, t.Any] = {
        "maxsize": connections,
        "block": True,
        "ssl_context": context,
        # A lost connection or a server that asks for patience is tried again; every request here can be repeated.
        "retries": urllib3.Retry(
            total=4,
            connect=2,
            backoff_factor=0.2,
            status_forcelist=(429, 503),
            allowed_methods=None,
            raise_on_status=False,
        ),
    }
    if getattr(configuration, "tls_server_name", None):
        options["server_hostname"] = configuration.tls_server_name
        options["assert_hostname"] = configuration.tls_server_name
    if configuration.proxy and not _bypasses_proxy(configuration):
        return urllib3.ProxyManager(configuration.proxy, proxy_headers=configuration.proxy_headers, **options)
    return urllib3.PoolManager(**options)


def _bypasses_proxy(configuration: t.Any) -> bool:
    if not configuration.no_proxy:
        return False
    host = urllib3.util.parse_url(configuration.host).host or ""
    names = [name.strip().lstrip(".") for name in configuration.no_proxy.split(",")]
    return any(name and (host == name or host.endswith("." + name)) for name in names)


def _cause(error: BaseException) -> str:
    """The innermost reason of a urllib3 error, without the objects' addresses that its text carries."""
    while isinstance(error, urllib3.exceptions.MaxRetryError) and error.reason:
        error = error.reason
    text = str(error)
    return text.split(": ", 1)[1] if text.startswith("<") and ": " in text else text
