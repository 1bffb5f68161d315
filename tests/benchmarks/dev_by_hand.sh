#!/usr/bin/env bash
# What `bootstrap.yml -i inventories/dev` does on kwok, as one would script it by hand: kwokctl, kubectl and the same
# processes. It checks nothing, supervises nothing and cannot be repeated; its cluster has no metrics, volumes or load
# balancers. usage: dev_by_hand.sh FOLDER up|down   (the programs are on PATH; MANIFEST, SAMPLE, PORT, LAUNCHER are set)
set -euo pipefail
folder=$1
export KUBECONFIG=$folder/kubeconfig KWOK_WORKDIR=$folder/kwok KWOK_RUNTIME=binary KWOK_DISABLE_QPS_LIMITS=true
export KWOK_KUBE_VERSION=$KUBERNETES_VERSION
for program in etcd kubectl kube-apiserver kube-scheduler kube-controller-manager; do
  name=${program^^}
  export "KWOK_${name//-/_}_BINARY=$(command -v $program)"
done
KWOK_CONTROLLER_BINARY=$(command -v kwok)
export KWOK_CONTROLLER_BINARY

if [ "$2" = down ]; then
  [ ! -e "$folder/pids" ] || xargs -r kill <"$folder/pids" 2>/dev/null || true
  kwokctl --name by-hand delete cluster >/dev/null 2>&1 || true
  exit 0
fi

mkdir -p "$folder"/{log,tls,ssh,gpg,gpg-keys,tmp,plugins}
chmod 700 "$folder/gpg-keys"
local_only=()
for component in kube-apiserver:bind-address kube-controller-manager:bind-address kube-scheduler:bind-address; do
  local_only+=(--extra-args "${component%%:*}=${component#*:}=127.0.0.1")
done
kwokctl --name by-hand create cluster --kubeconfig "$KUBECONFIG" --wait 60s "${local_only[@]}" >"$folder/log/kwokctl" 2>&1
kwokctl --name by-hand scale node --replicas 2 >>"$folder/log/kwokctl" 2>&1

kubectl create namespace argocd >/dev/null
kubectl apply --server-side -n argocd -f "$MANIFEST" >/dev/null
kubectl patch configmap argocd-cm -n argocd --type merge --patch-file /dev/stdin >/dev/null <<'PATCH'
data:
  resource.customizations.health.argoproj.io_Application: |
    hs = {status = "Progressing", message = ""}
    if obj.status ~= nil and obj.status.health ~= nil then
      hs.status = obj.status.health.status
      hs.message = obj.status.health.message
    end
    return hs
PATCH
kubectl create secret generic argocd-redis -n argocd --from-literal=auth=by-hand >/dev/null
kubectl config set-context --current --namespace argocd >/dev/null

export ARGOCD_FAKE_IN_CLUSTER=true ARGOCD_GPG_ENABLED=false ARGOCD_TLS_DATA_PATH=$folder/tls ARGOCD_SSH_DATA_PATH=$folder/ssh
export ARGOCD_GPG_DATA_PATH=$folder/gpg ARGOCD_GNUPGHOME=$folder/gpg-keys ARGOCD_PLUGINSOCKFILEPATH=$folder/plugins
export TMPDIR=$folder/tmp REDIS_PASSWORD=by-hand
port() { echo $((PORT + $1)); }
start() {
  nohup "$@" >"$folder/log/${1##*/}" 2>&1 </dev/null &
  echo $! >>"$folder/pids"
}
printf 'bind 127.0.0.1\nport %s\nrequirepass by-hand\nsave ""\ndir %s\n' "$(port 0)" "$folder" >"$folder/redis.conf"
start redis-server "$folder/redis.conf"
repo=(--repo-server "127.0.0.1:$(port 1)" --repo-server-plaintext)
redis=(--redis "127.0.0.1:$(port 0)")
start argocd-repo-server --disable-tls --client-ca-path "" --address 127.0.0.1 --port "$(port 1)" \
  --metrics-address 127.0.0.1 --metrics-port "$(port 2)" "${redis[@]}"
# It has no option to listen on loopback only, so it gets what ours gets.
python3 - argocd-application-controller --metrics-port "$(port 3)" "${repo[@]}" "${redis[@]}" >"$folder/controller.json" <<'SPEC'
import json, os, shutil, sys
spec = {"command": [shutil.which(sys.argv[1]), *sys.argv[2:]], "environment": dict(os.environ)}
print(json.dumps({**spec, "directory": os.environ["TMPDIR"], "loopback": True}))
SPEC
chmod 600 "$folder/controller.json"
# shellcheck disable=SC2086
start $LAUNCHER "$folder/controller.json"
start argocd-applicationset-controller --metrics-addr "127.0.0.1:$(port 4)" --probe-addr "127.0.0.1:$(port 5)" \
  --webhook-addr "127.0.0.1:$(port 6)" --argocd-repo-server "127.0.0.1:$(port 1)" --repo-server-plaintext
start argocd-server --insecure --address 127.0.0.1 --port "$(port 7)" --metrics-address 127.0.0.1 \
  --metrics-port "$(port 8)" "${repo[@]}" "${redis[@]}"

cp -r "$SAMPLE" "$folder/sample"
grep -rlE 'repoURL:' "$folder/sample" --include '*.yaml' | xargs sed -i "s#repoURL: .*#repoURL: file://$folder/sample#"
git -C "$folder/sample" -c user.name=by-hand -c user.email=by-hand@localhost commit -qam "by hand"
# The server makes it when it starts; an Application that comes before is looked at again only minutes later.
until kubectl get appproject default >/dev/null 2>&1; do sleep 0.2; done
kubectl apply -f - >/dev/null <<ROOT
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: root, namespace: argocd}
spec:
  project: default
  source: {repoURL: "file://$folder/sample", targetRevision: HEAD, path: apps}
  destination: {server: "https://kubernetes.default.svc", namespace: argocd}
  syncPolicy: {automated: {prune: true, selfHeal: true}}
ROOT
for _ in $(seq 600); do
  states=$(kubectl get applications -n argocd -o jsonpath='{range .items[*]}{.status.sync.status}{.status.health.status}{"\n"}{end}')
  if [ "$(grep -c SyncedHealthy <<<"$states")" = 3 ]; then exit 0; fi
  sleep 0.2
done
echo "the Applications did not turn Healthy" >&2
exit 1
