# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Variables against argument specs."""

from __future__ import annotations

import pathlib
import typing as t

import pytest

from ansible_collections.hubspoke.bootstrap.plugins.module_utils import _preflight_values as values
from ansible_collections.hubspoke.bootstrap.plugins.module_utils._errors import HubspokeError

CLUSTER: values.Options = {
    "cluster_name": {"type": "str", "default": "{{ inventory_hostname }}", "description": "Name of it. And more."},
    "cluster_provider": {"choices": ["auto", "kwok"], "default": "auto", "description": ["Who makes V(it)."]},
    "cluster_agents": {"type": "int", "default": 0},
    "cluster_ports": {
        "type": "list",
        "elements": "dict",
        "options": {
            "host_port": {"type": "int", "required": True},
            "address": {"default": "{{ x }}"},
            "protocol": {"default": "tcp"},
        },
    },
    "shared_dir": {"type": "path", "description": "A folder."},
    # A value of another shape than this makes the validator itself fail.
    "nested": {
        "type": "dict",
        "options": {"q": {"type": "list", "elements": "dict", "options": {"z": {"type": "int"}}}},
    },
}
ARGOCD: values.Options = {
    "argocd_version": {"type": "str"},
    "argocd_token": {"type": "int", "no_log": True, "description": "A token."},
    "argocd_url": {"type": "str", "required": True, "description": "Its address."},
    "argocd_repositories": {
        "type": "list",
        "elements": "dict",
        "options": {"url": {}, "password": {"no_log": True}, "tokens_kept": {}, "more": {"type": "dict"}},
    },
    "shared_dir": {"type": "path", "description": "A folder."},
}
SPECS = values.merge({"dev_cluster": CLUSTER}, {"dev_cluster": CLUSTER, "argocd": ARGOCD})


def checked(variables: dict[str, t.Any], specs: values.Specs = SPECS, **facts: t.Any) -> tuple[t.Any, list[t.Any]]:
    return values.Validation(specs).host("dev", {"variables": variables, **facts})


@pytest.mark.parametrize(
    ("name", "value", "typed"),
    [
        ("cluster_agents", 3, 3),
        ("cluster_agents", "3", 3),
        ("cluster_provider", "kwok", "kwok"),
        ("cluster_name", "{{ not ours to evaluate }}", "{{ not ours to evaluate }}"),
        ("cluster_ports", [{"host_port": "80"}], [{"host_port": 80, "address": None, "protocol": "tcp"}]),
        ("shared_dir", "/a/b", "/a/b"),
    ],
)
def test_what_fits_has_the_type_of_its_spec(name: str, value: t.Any, typed: t.Any) -> None:
    host, findings = checked({name: value})
    assert findings == []
    assert host.get(name) == typed
    assert host.given == {name}


@pytest.mark.parametrize(
    ("name", "value", "found", "remedy"),
    [
        (
            "cluster_provider",
            "k8d",
            "'k8d' is not one of its choices",
            "Give one of auto, kwok (dev_cluster: Who makes it).",
        ),
        ("cluster_agents", "many", "'many' is not a whole number", "Give a whole number"),
        ("cluster_agents", 1.5, "1.5 is not a whole number", "Give a whole number"),
        (
            "cluster_ports",
            {"a": 1},
            "a mapping is not a list, each element a mapping",
            "Give a list, each element a mapping",
        ),
        ("cluster_ports", "8080:80", "'8080:80' is not a list, each element a mapping", "Give a list"),
        ("cluster_ports", [1], "unable to convert to dict", "Give a list"),
        ("nested", [1], "a list is not a mapping", "Give a mapping"),
        ("cluster_ports", [{"host_port": "x"}], "host_port", "Give a list"),
        ("cluster_ports", [{}], "missing required arguments: host_port", "Give a list"),
        (
            "cluster_ports",
            [{"host_port": 1, "prot": 2}],
            "has keys that it does not know: cluster_ports.prot",
            "Give a list",
        ),
    ],
)
def test_what_does_not_fit_is_found_and_has_no_value(name: str, value: t.Any, found: str, remedy: str) -> None:
    host, findings = checked({name: value})
    assert [(finding.verdict, finding.variable, finding.hosts) for finding in findings] == [("fail", name, ("dev",))]
    assert found in findings[0].found
    assert findings[0].remedy.startswith(remedy)
    assert host.get(name) is None


def test_a_default_counts_where_nothing_is_given_and_a_template_of_one_does_not() -> None:
    host, _ = checked({"cluster_provider": None})
    assert (host.get("cluster_provider"), host.get("cluster_agents"), host.get("cluster_name")) == ("auto", 0, None)
    assert host.cluster == "dev"


def test_a_variable_of_no_role_is_left_alone() -> None:
    host, findings = checked({"my_own": 1})
    assert (host.get("my_own"), host.given, findings) == (None, frozenset(), [])


def test_what_cannot_be_evaluated_is_found_and_has_no_value() -> None:
    host, findings = checked({}, errors={"cluster_provider": "'nope' is undefined"})
    assert [(finding.variable, finding.found) for finding in findings] == [
        ("cluster_provider", "cannot be evaluated: 'nope' is undefined")
    ]
    assert host.get("cluster_provider") is None


@pytest.mark.parametrize(("given", "missing"), [({}, ["argocd_url"]), ({"argocd_url": "x"}, [])])
def test_what_is_required_is_required_of_roles_that_run(given: dict[str, str], missing: list[str]) -> None:
    specs = values.merge({"argocd": ARGOCD}, {"argocd": ARGOCD})
    _, findings = checked(given, specs)
    assert [finding.variable for finding in findings] == missing
    assert checked({})[1] == []


def test_a_secret_of_the_wrong_type_is_not_shown() -> None:
    _, findings = checked({"argocd_url": "x", "argocd_token": "hunter2"}, values.merge({"argocd": ARGOCD}, {}))
    assert [(finding.found, finding.remedy) for finding in findings] == [
        ("has the wrong type", "Give a whole number (argocd: A token).")
    ]


@pytest.mark.parametrize(
    ("variables", "secret"),
    [
        ({"argocd_token": "t"}, ["t"]),
        ({"argocd_token": {"a": ["t", 1], "b": "u"}}, ["t", "u"]),
        (
            {
                "argocd_repositories": [
                    {"url": "u", "password": "p", "tokens_kept": "5", "more": {"ssh_private_key": "k"}}
                ]
            },
            ["p", "k"],
        ),
        ({"argocd_repositories": [{"passwrd": "misspelt", "typ": "git"}]}, ["misspelt"]),
        ({"argocd_version": "https://me:pass@x/a.git and http://x:80/@"}, ["pass"]),
        ({"argocd_repositories": "not a list"}, []),
        ({"argocd_version": "v1"}, []),
        ({"argocd_repositories": [{"password": ""}]}, []),
    ],
)
def test_secrets_are_found_by_their_spec_and_by_their_name(variables: dict[str, t.Any], secret: list[str]) -> None:
    assert list(values.secrets(variables, ARGOCD)) == secret


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("argocd_vesion", "argocd_version"),
        ("cluster_provder", "cluster_provider"),
        ("cluster_port", "cluster_ports"),
        ("argo_cd_version", "argocd_version"),
        ("my_own", ""),
        ("inventory_hostname", ""),
        ("argocd_version_before", ""),
    ],
)
def test_near_misses(name: str, meant: str) -> None:
    assert values.similar(name, SPECS.known) == meant


def test_names_are_sorted_into_those_to_evaluate_and_near_misses() -> None:
    names = [
        "cluster_name",
        "argocd_vesion",
        "argocd_version",
        "cluster_hub_address",
        "ansible_host",
        "cluster_kubeconfig",
    ]
    # A variable of a role that does not run is neither, and a fact of ours is no near miss.
    assert values.interesting(names, SPECS) == (["cluster_name"], ["argocd_vesion"])


def test_a_near_miss_is_a_warning_that_names_what_was_meant() -> None:
    (finding,) = values.strange_names({"dev": ["argocd_vesion"]}, SPECS)
    assert (finding.verdict, finding.variable, finding.hosts) == ("warn", "argocd_vesion", ("dev",))
    assert "Did you mean argocd_version?" in finding.remedy


def test_specs_are_read_from_every_entry_point(tmp_path: pathlib.Path) -> None:
    meta = tmp_path / "roles/one/meta"
    meta.mkdir(parents=True)
    (meta / "argument_specs.yml").write_text(
        "argument_specs: {main: {options: {one_a: {type: int}}}, other: {options: {one_b: {}}}, bare: {}}"
    )
    (tmp_path / "roles/two").mkdir()
    specs = values.load(str(tmp_path), ["one", "two"])
    assert specs.options == {"one_a": {"type": "int"}, "one_b": {}}
    assert specs.roles == {"one_a": "one", "one_b": "one"}


@pytest.mark.parametrize("content", ["a: [", "{}", "argument_specs: 1", ""])
def test_specs_that_do_not_parse_are_refused(tmp_path: pathlib.Path, content: str) -> None:
    meta = tmp_path / "roles/one/meta"
    meta.mkdir(parents=True)
    (meta / "argument_specs.yml").write_text(content)
    with pytest.raises(HubspokeError, match=r"argument_specs\.yml does not parse"):
        values.load(str(tmp_path), ["one"])


def secret_options(options: values.Options) -> t.Iterator[str]:
    for name, option in options.items():
        if values._SECRET_NAME.search(name) and option.get("type", "str") == "str" and "choices" not in option:
            yield f"{name} {option.get('no_log')}"
        yield from secret_options(option.get("options") or {})


def test_specs_say_no_log_of_what_is_named_like_a_secret() -> None:
    root = pathlib.Path(__file__).parents[2]
    roles = [path.name for path in (root / "roles").iterdir()]
    found = list(secret_options(values.load(str(root), roles).options))
    assert "password True" in found
    assert [name for name in found if name.endswith("None")] == []
