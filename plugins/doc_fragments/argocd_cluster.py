# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Options of the modules that register clusters in Argo CD."""

from __future__ import annotations

import re
import textwrap


def _below(option: str, options: str) -> str:
    """The same options once more, as suboptions of another one."""
    names = "|".join(re.findall(r"^  (\w+):", options, re.MULTILINE))
    named = re.sub(rf"O\((?=(?:{names})\b)", f"O({option}[].", options.partition("options:\n")[2])
    return textwrap.indent(named.rstrip(), " " * 4)


class ModuleDocFragment:
    """What holds for a run; one cluster's options at the top of a module, and the same below `clusters`."""

    DOCUMENTATION = r"""
options:
  namespace:
    description: Namespace of Argo CD on the hub.
    type: str
    default: argocd
  owner:
    description:
      - Which inventory this is. It is written as a label; only clusters with this label are ever pruned, and a cluster of
        another owner is not changed.
    type: str
    default: ""
  take_over:
    description: Whether clusters of another owner become this one's.
    type: bool
    default: false
  rotate:
    description: When tokens are followed by new ones - when they are V(due), V(always), or V(never) before they have expired.
    type: str
    choices: [due, always, never]
    default: due
  protected:
    description: Names of clusters that are never removed.
    type: list
    elements: str
    default: []
  remove_applications:
    description:
      - Whether Applications on a cluster that is removed are removed first, instead of the removal being refused.
      - With Argo CD's finalizer an Application takes along what it deployed; without it, that stays.
    type: bool
    default: false
  removal_timeout:
    description: Seconds to wait until they are gone.
    type: int
    default: 300
  probe_from_hub:
    description:
      - Whether each new address is also tried from the hub, before it is written, by a short-lived Pod with Argo CD's own image.
      - Where O(hub_is_local) is true there is no need for it.
    type: bool
    default: false
  hub_is_local:
    description: Whether Argo CD runs as processes on this machine, so that it may use addresses that mean this machine.
    type: bool
    default: false
  timeout:
    description: Seconds for the connection to a spoke, and for each of its answers.
    type: float
    default: 10
  cluster_present:
    description: Whether the hub is there yet. V(false) is for check mode, in which it may only be about to be made.
    type: bool
    default: true
"""

    CLUSTER = r"""
options:
  name:
    description: Name of the cluster in Argo CD, by which Applications may name it as their destination.
    type: str
    required: true
  state:
    description:
      - V(present) has it registered, under this name, at this address, with a credential that works.
      - V(absent) removes its Secret from the hub and, where this collection made it, the manager account from the spoke. It is
        refused while Applications target the cluster.
    type: str
    choices: [present, absent]
    default: present
  server:
    description:
      - Address of its API server, as the hub uses it. By default the one of O(spoke).
      - V(https://kubernetes.default.svc) is the hub itself, which so gets labels and annotations of its own.
      - With the EKS capability for Argo CD it is the ARN of the cluster; there is no credential then.
    type: str
  spoke:
    description:
      - How the spoke is reached from here, with the connection options of M(kubernetes.core.k8s). C(kubeconfig) and C(context) are
        enough mostly; a kubeconfig may also be given as a dictionary.
      - The manager account is made with it, and the certificate authority is taken from it. Its own credential is never handed to
        Argo CD.
    type: dict
  spoke_present:
    description: Whether the spoke is there yet. V(false) is for check mode, in which it may only be about to be made.
    type: bool
    default: true
  project:
    description: AppProject that the cluster is scoped to.
    type: str
  namespaces:
    description: The only namespaces that Argo CD manages there. The manager account then has its rights in these alone.
    type: list
    elements: str
  cluster_resources:
    description: Whether Argo CD manages resources without a namespace too, where it manages only some namespaces.
    type: bool
  shard:
    description: Shard of the application controller that looks after the cluster.
    type: int
  labels:
    description: Labels of the Secret, for the cluster generator of ApplicationSets. Labels of others stay.
    type: dict
    default: {}
  annotations:
    description: Annotations of the Secret, likewise.
    type: dict
    default: {}
  skip_reconcile:
    description: Whether Argo CD leaves all Applications on the cluster alone.
    type: bool
  credential:
    description:
      - V(token) is a token of the manager account that ends by itself, and is followed by a new one in time.
      - V(token_secret) is a token of the manager account without an end, for those who must.
      - V(bearer_token), V(basic), V(client_certificate), V(aws) and V(exec) are what the options of these names give.
      - V(none) is for the hub itself and for clusters that are named by their ARN.
      - The default follows from what is given, and is V(token) else.
    type: str
    choices: [token, token_secret, bearer_token, basic, client_certificate, aws, exec, none]
  token_lifetime:
    description:
      - How long a token is to live, as in V(30d) or V(12h). An API server may grant less, which is then said.
      - Runs have to be more frequent than the part of it that remains after O(token_renew_after).
    type: str
    default: 30d
  token_renew_after:
    description: The part of its life after which a token is followed by a new one.
    type: float
    default: 0.5
  bearer_token:
    description: A token of the user's own.
    type: str
  basic:
    description: Name and password.
    type: dict
    suboptions:
      username:
        description: Name.
        type: str
        required: true
      password:
        description: Password.
        type: str
        required: true
  client_certificate:
    description: A client certificate, as the contents of its files.
    type: dict
    suboptions:
      certificate:
        description: Certificate, PEM.
        type: str
        required: true
      key:
        description: Private key, PEM.
        type: str
        required: true
  aws:
    description: IAM, by which Argo CD gets a token for an EKS cluster each time.
    type: dict
    suboptions:
      cluster_name:
        description: Name of the EKS cluster.
        type: str
        required: true
      role_arn:
        description: Role to assume for it.
        type: str
      profile:
        description: Path of a file with credentials, on the hub.
        type: str
  exec:
    description: A command on the hub that prints a credential (C(client.authentication.k8s.io)).
    type: dict
    suboptions:
      command:
        description: The command.
        type: str
        required: true
      args:
        description: Its arguments.
        type: list
        elements: str
        default: []
      env:
        description: Its environment variables.
        type: dict
        default: {}
      api_version:
        description: Version of the protocol.
        type: str
        choices: [client.authentication.k8s.io/v1, client.authentication.k8s.io/v1beta1]
        default: client.authentication.k8s.io/v1
      install_hint:
        description: What to tell where the command is missing.
        type: str
      provide_cluster_info:
        description: Whether the command is told which cluster it is for.
        type: bool
        default: false
  ca_data:
    description: Certificate authority of its API server, PEM. By default that of O(spoke).
    type: str
  server_name:
    description: Name to expect in its certificate instead of the host of O(server).
    type: str
  insecure:
    description: Whether its certificate is not verified, for tests. A kubeconfig that says so does not make Argo CD do so.
    type: bool
    default: false
  proxy_url:
    description: Proxy by which Argo CD reaches it.
    type: str
  disable_compression:
    description: Whether Argo CD asks it not to compress its answers.
    type: bool
    default: false
  account:
    description:
      - The manager account that is made on the spoke for V(token) and V(token_secret), and what it may do.
      - One that this inventory made and that is not used any more, since another or another credential was asked for, is
        removed once Argo CD has the new one.
    type: dict
    default: {}
    suboptions:
      name:
        description: Name of the service account; the role and the binding are called after it. It is that of C(argocd cluster add).
        type: str
        default: argocd-manager
      namespace:
        description: Namespace of the service account.
        type: str
        default: kube-system
      rules:
        description:
          - Its rights, as the C(rules) of a ClusterRole; with O(namespaces), of a Role in each of them. By default all rights.
          - Whatever the credential, these are the rights that it is tried for.
        type: list
        elements: dict
  probe:
    description:
      - When the credential is tried from here, at the address that the hub will use - name, connection, certificate, authentication,
        rights. Where that address means nothing here, the one of O(spoke) is used, and the certificate is still checked for
        the hub's.
      - V(always) tries what is about to be written, and in each run what is registered already, so that a token that was revoked,
        rights that are gone and a cluster that does not answer are seen.
      - V(on_change) tries only a credential or an address that is about to be written. A run that changes nothing then asks the hub
        alone, which is quick, and the state of the spokes is left to M(hubspoke.bootstrap.argocd_cluster_info) to tell.
      - V(never) tries nothing. Rights given by O(account.rules) are still compared with those on the spoke.
    type: str
    choices: [always, on_change, never]
    default: always
"""

    # ansible-test takes a plain assignment for a literal.
    CLUSTERS: str = f"""
options:
  clusters:
    description: The clusters.
    type: list
    elements: dict
    required: true
    suboptions:
{_below("clusters", CLUSTER)}
"""
