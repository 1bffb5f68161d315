# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A fleet from its first registration to its adoption, seen through the APIs of all its clusters; in this order."""

from __future__ import annotations

import base64
import contextlib
import pathlib
import shutil
import time
import typing as t

import bootstrapped
import fleet
import pytest
import yaml

HUB = bootstrapped.CLUSTER
A, B = f"{HUB}-a", f"{HUB}-b"
REGISTER, ROTATE = "playbooks/register_clusters.yml", "playbooks/rotate_credentials.yml"


class Inventory:
    """A copy of the scenario's inventory that tests change as a user changes theirs."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.path = folder / "inventory"
        shutil.copytree(bootstrapped.ROOT / "molecule" / bootstrapped.SCENARIO / "inventory", self.path)

    @contextlib.contextmanager
    def spokes(self) -> t.Iterator[dict[str, t.Any]]:
        """Its spokes with their variables, to be changed."""
        path = self.path / "hosts.yml"
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        yield content["spokes"]["hosts"]
        path.write_text(yaml.safe_dump(content), encoding="utf-8")

    def play(self, playbook: str, *arguments: str) -> tuple[str, int]:
        """A run that succeeds: its output, and how many tasks changed anything."""
        return bootstrapped.play(playbook, *arguments, inventory=self.path)


@pytest.fixture(scope="module")
def inventory(tmp_path_factory: pytest.TempPathFactory) -> Inventory:
    return Inventory(tmp_path_factory.mktemp("registration"))


def test_every_cluster_is_registered_as_argo_cd_does_it() -> None:
    clusters = fleet.clusters()
    assert set(clusters) == {HUB, A, B}
    assert clusters[HUB].secret == "cluster-kubernetes.default.svc-3396314289"
    for name, region in ((A, "north"), (B, "south")):
        found = clusters[name]
        labels = {"environment": "test", "enable_hello": "true", "region": region, "hubspoke.bootstrap/owner": HUB}
        assert labels.items() <= found.labels.items()
        assert found.annotations["hello_revision"] == "main"
        assert found.server == fleet.address(name)
        assert found.config["tlsClientConfig"]["caData"]
        assert "argocd-manager" in fleet.accounts(name)


def test_tokens_live_as_long_as_was_asked_for() -> None:
    for name in (A, B):
        found = fleet.clusters()[name]
        assert found.claims["exp"] - found.claims["iat"] == 12 * 3600
        expiry = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(found.claims["exp"]))
        assert found.annotations["hubspoke.bootstrap/token-expires"] == expiry


def test_the_application_set_deploys_onto_both_spokes() -> None:
    expected = {f"hello-{name}": ("Synced", "Healthy") for name in (A, B)}
    assert bootstrapped.applications() == expected
    for name in (A, B):
        (deployment,) = bootstrapped.objects("apps/v1", "Deployment", "hello", name)
        assert deployment["status"]["availableReplicas"] == 1
    assert bootstrapped.objects("apps/v1", "Deployment", "hello") == []


def test_another_run_changes_nothing(inventory: Inventory) -> None:
    """Molecule has just bootstrapped again."""
    before = fleet.versions()
    for playbook, *arguments in (("bootstrap.yml", "--check", "--diff"), (REGISTER,), (ROTATE, "--check")):
        output, changed = inventory.play(playbook, *arguments)
        assert changed == 0, output
        assert fleet.versions() == before


def test_a_changed_label_changes_exactly_that(inventory: Inventory) -> None:
    before, versions = fleet.clusters(), fleet.versions()
    with inventory.spokes() as spokes:
        spokes[A]["region"] = "west"
    output, changed = inventory.play(REGISTER, "--check", "--diff")
    assert changed == 1
    assert fleet.versions() == versions
    assert _differences(output) == ["-  region: north", "+  region: west"], output

    output, changed = inventory.play(REGISTER)
    assert changed == 1, output
    after = fleet.clusters()
    assert after[A].labels == {**before[A].labels, "region": "west"}
    assert (after[A].data, after[A].annotations) == (before[A].data, before[A].annotations)
    assert {name: fleet.versions()[name] for name in (HUB, B)} == {name: versions[name] for name in (HUB, B)}
    output, changed = inventory.play(REGISTER)
    assert changed == 0, output


def _differences(output: str) -> list[str]:
    """The lines of the differences that were shown."""
    return [line for line in output.splitlines() if line.startswith(("+", "-")) and line[:2] not in ("--", "++")]


def test_argo_cd_itself_is_connected() -> None:
    """Its metrics say so, half a minute late."""

    def connected() -> bool:
        output, changed = bootstrapped.play("playbooks/status.yml")
        assert changed == 0, output
        lines = output.splitlines()
        return all(any(name in line and "Successful" in line for line in lines) for name in (A, B))

    fleet.wait_for(connected)


def test_rotation_leaves_no_gap_and_shows_no_token(inventory: Inventory) -> None:
    before = fleet.clusters()
    assert all(fleet.works(before[name]) for name in (A, B))
    output, changed = inventory.play(ROTATE, "-vvvv", "--diff", "--extra-vars=cluster_registration_rotate=always")
    assert changed == 1, output
    after = fleet.clusters()
    for name in (A, B):
        assert after[name].token != before[name].token
        assert fleet.works(after[name])
        assert fleet.works(before[name])  # Argo CD may still be using it
        for cluster in (before[name], after[name]):
            for secret in (cluster.token, base64.b64encode(cluster.token.encode()).decode(), cluster.token[-40:]):
                assert secret not in output
    assert not any(key in output for key in fleet.private_keys())
    assert "token-expires" in output
    fleet.wait_for(lambda: set(bootstrapped.applications().values()) == {("Synced", "Healthy")})
    output, changed = inventory.play(ROTATE)
    assert changed == 0, output


def test_a_spoke_that_applications_target_is_not_pruned(inventory: Inventory) -> None:
    with inventory.spokes() as spokes:
        del spokes[B]
    before = fleet.versions()
    output, changed = inventory.play(REGISTER)
    assert changed == 0, output
    for arguments in ((), ("--check",)):
        code, output, changed = bootstrapped.try_play(
            REGISTER, "--extra-vars=cluster_registration_prune=true", *arguments, inventory=inventory.path
        )
        assert (code, changed) == (2, 0)
        assert f"hello-{B}" in output
        assert f"hello-{A}" not in output
        assert "remove_applications" in output
        assert fleet.versions() == before


def test_it_goes_with_its_applications_if_that_is_asked_for(inventory: Inventory) -> None:
    arguments = ("-e", "cluster_registration_prune=true", "-e", "cluster_registration_remove_applications=true")
    output, changed = inventory.play(REGISTER, "--check", "--diff", *arguments)
    assert changed == 1, output
    assert set(fleet.clusters()) == {HUB, A, B}

    output, changed = inventory.play(REGISTER, *arguments)
    assert changed == 1, output
    assert set(fleet.clusters()) == {HUB, A}
    fleet.wait_for(lambda: "argocd-manager" not in fleet.accounts(B))
    fleet.wait_for(lambda: set(bootstrapped.applications()) == {f"hello-{A}"})
    for _again in range(2):
        output, changed = inventory.play(REGISTER, *arguments)
        assert changed == 0, output


def test_what_others_registered_is_adopted_and_not_doubled(inventory: Inventory) -> None:
    """One spoke registered by Argo CD's own command line, the other by hand; then both are in the inventory again."""
    with inventory.spokes() as spokes:
        del spokes[A]
    inventory.play(
        REGISTER, "-e", "cluster_registration_prune=true", "-e", "cluster_registration_remove_applications=true"
    )
    fleet.wait_for(lambda: bootstrapped.applications() == {})
    assert set(fleet.clusters()) == {HUB}
    fleet.add_with_command_line(A)
    fleet.add_by_hand(B, "written-by-hand")
    before, versions = fleet.clusters(), fleet.versions()
    assert before[B].server.endswith("/")
    # The command line hands over the administrator's certificate where a kubeconfig has one.
    assert all(before[name].config["tlsClientConfig"]["keyData"] for name in (A, B))

    with inventory.spokes() as spokes:
        spokes[A], spokes[B] = {"region": "north"}, {"region": "south"}
    output, changed = inventory.play(REGISTER, "--check", "--diff")
    assert changed == 1, output
    assert fleet.versions() == versions
    assert f"-server: {before[B].server}" in output, output
    assert f"+server: {before[B].server.rstrip('/')}" in output, output
    assert output.count("+  enable_hello: 'true'") == 2, output
    assert not any(key in output for key in fleet.private_keys())

    output, changed = inventory.play(REGISTER)
    assert changed == 1, output
    after = fleet.clusters()
    assert {name: after[name].secret for name in (A, B)} == {A: before[A].secret, B: "written-by-hand"}
    assert len(after) == 3
    assert after[B].server == fleet.address(B)
    assert {after[name].labels["hubspoke.bootstrap/owner"] for name in (A, B)} == {HUB}
    assert all(fleet.works(after[name]) and after[name].claims["exp"] for name in (A, B))
    assert not any("keyData" in after[name].config["tlsClientConfig"] for name in (A, B))
    output, changed = inventory.play(REGISTER)
    assert changed == 0, output
    fleet.wait_for(lambda: set(bootstrapped.applications()) == {f"hello-{A}", f"hello-{B}"})


def test_argo_cd_reads_what_was_written(inventory: Inventory) -> None:
    options = {
        "project": "default",
        "namespaces": ["hello", "default"],
        "cluster_resources": True,
        "shard": 0,
        "disable_compression": True,
    }
    with inventory.spokes() as spokes:
        spokes[A]["cluster_registration_options"] = options
    output, changed = inventory.play(REGISTER)
    assert changed == 1, output
    found = fleet.as_argocd_reads(A)
    assert {key: found[key] for key in ("project", "namespaces", "clusterResources", "shard")} == {
        "project": "default",
        "namespaces": ["hello", "default"],
        "clusterResources": True,
        "shard": 0,
    }
    assert found["config"]["disableCompression"] is True
    assert found["annotations"]["hello_revision"] == "main"
    assert {"region": "north", "environment": "test"}.items() <= found["labels"].items()
    output, changed = inventory.play(REGISTER)
    assert changed == 0, output


def test_no_token_is_in_any_log_or_command_line() -> None:
    tokens = [cluster.token for cluster in fleet.clusters().values() if cluster.token]
    assert len(tokens) == 2
    shown = [command.encode() for command in bootstrapped.processes().values()]
    shown += [path.read_bytes() for path in bootstrapped.STATE.rglob("*.log")]
    assert shown
    assert not any(token.encode() in text for token in tokens for text in shown)
