# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Checks of clusters that something else made, whose API must answer now and know our credential."""

from __future__ import annotations

import os
import re
import typing as t
from collections.abc import Iterator

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import ApiError, HubspokeError
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight import (
    Finding,
    Host,
    Survey,
    concurrently,
)
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._preflight_providers import state_folder
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._yaml import LOADER, yaml

NAME = "reachability"
OLDEST = (1, 28)


def clusters(survey: Survey) -> Iterator[Finding]:
    """Every cluster that is there already, several at a time."""
    there = [host for host in survey.hosts if host.provider == "existing" or (host.adopted and host.record)]
    yield from concurrently(lambda host: _cluster(host, survey.probe), there)


def _cluster(host: Host, probe: t.Any) -> Iterator[Finding]:
    path, context = host.text("cluster_kubeconfig"), host.text("cluster_context")
    who = (host.name,)
    if host.record:
        path, context = f"{state_folder(host)}/clusters/{host.cluster}/kubeconfig", f"{host.provider}-{host.cluster}"
    elif path:
        wrong = list(kubeconfig(host, probe))
        if wrong:
            yield from wrong
            return
    try:
        api = probe.api(path, context)
    except ApiError as error:
        yield _refused(host, error)
        return
    except HubspokeError as error:
        yield Finding(NAME, _text(error.message), "fail", "cluster_kubeconfig", error.remedy, who)
        return
    version = re.search(r"(\d+)\.(\d+)", api.version)
    # A development build says 0.0.
    if version and (0, 0) < (int(version[1]), int(version[2])) < OLDEST:
        remedy = f"Upgrade it to {'.'.join(map(str, OLDEST))} or later."
        yield Finding(NAME, f"the cluster runs Kubernetes {api.version}", "warn", "cluster_kubeconfig", remedy, who)
    if not api.admin:
        remedy = "Use an account that may do everything (cluster-admin); what is missing shows only when it is refused."
        found = "the account may not do everything on the cluster"
        yield Finding(NAME, found, "warn", "cluster_context", remedy, who)
    yield Finding(NAME, f"its API answers, Kubernetes {api.version or 'of an unknown version'}", hosts=who)


def kubeconfig(host: Host, probe: t.Any) -> Iterator[Finding]:
    """What is wrong with a kubeconfig before it is used."""
    path, context = os.path.expanduser(host.text("cluster_kubeconfig")), host.text("cluster_context")
    who, variable = (host.name,), "cluster_kubeconfig"
    try:
        content = yaml.load(probe.read(path), Loader=LOADER)
    except OSError as error:
        remedy = "Set it to the kubeconfig of the cluster, one that can be read."
        yield Finding(NAME, f"{path} cannot be read ({error.strerror})", "fail", variable, remedy, who)
        return
    except yaml.YAMLError:
        content = None
    contexts = content.get("contexts") if isinstance(content, dict) else None
    if not isinstance(contexts, list) or not contexts:
        remedy = "Set it to a kubeconfig: `kubectl --kubeconfig ... config get-contexts` must list a context."
        yield Finding(NAME, f"{path} is no kubeconfig with a context", "fail", variable, remedy, who)
        return
    names = [str(entry.get("name")) for entry in contexts if isinstance(entry, dict)]
    if context and context not in names:
        remedy = f"Set it to one of {', '.join(names[:8])}."
        yield Finding(NAME, f"{path} has no context {context}", "fail", "cluster_context", remedy, who)
    elif not context and content.get("current-context") not in names:
        remedy = f"Set it to one of {', '.join(names[:8])}."
        yield Finding(NAME, f"{path} names no current context", "fail", "cluster_context", remedy, who)


def _refused(host: Host, error: ApiError) -> Finding:
    if error.status in (401, 403):
        remedy = "Renew the credential in it, or set it and cluster_context to an account that the cluster knows."
        found = f"the cluster does not accept the credential ({_text(error.message)})"
    else:
        remedy = "Start the cluster, or set it to the kubeconfig of one whose address can be reached from here."
        found = _text(error.message)
    return Finding(NAME, found, "fail", "cluster_kubeconfig", remedy, (host.name,))


def _text(message: str) -> str:
    return " ".join(message.split()).rstrip(".")
