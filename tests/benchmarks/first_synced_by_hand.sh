#!/usr/bin/env bash
# What role external_secrets does up to the first synced Secret, as one would script it by hand: helm, kubectl, and the same
# program as a process. It checks nothing and supervises nothing.
# usage: first_synced_by_hand.sh FOLDER   (the programs are on PATH; KUBECONFIG, CRDS, CHART, VERSION, ENDPOINT, PORT are set)
set -euo pipefail
folder=$1
mkdir -p "$folder"
kubectl apply --server-side -f "$CRDS" >/dev/null
cp -r "$CHART" "$folder/chart"
rm -f "$folder/chart/Chart.lock"
sed -i "/^dependencies:/,\$d; s/^version:.*/version: ${VERSION#v}/; s/^appVersion:.*/appVersion: $VERSION/" "$folder/chart/Chart.yaml"
kubectl create namespace external-secrets >/dev/null
helm template external-secrets "$folder/chart" -n external-secrets --set installCRDs=false,webhook.create=false \
  --set certController.create=false | kubectl apply --server-side -n external-secrets -f - >/dev/null
kubectl wait --for condition=Established --timeout 60s -f "$CRDS" >/dev/null
export AWS_ENDPOINT_URL=$ENDPOINT AWS_SECRETSMANAGER_ENDPOINT=$ENDPOINT AWS_STS_ENDPOINT=$ENDPOINT
nohup external-secrets --concurrent=1 --enable-leader-election=false --live-addr="127.0.0.1:$PORT" \
  --metrics-addr=0 >"$folder/log" 2>&1 </dev/null &
echo $! >"$folder/pid"
until curl -sf "http://127.0.0.1:$PORT/healthz" >/dev/null; do
  kill -0 "$(cat "$folder/pid")"
  sleep 0.1
done
kubectl apply --server-side -f - >/dev/null <<STORE
apiVersion: v1
kind: Secret
metadata: {name: aws-secrets-store-credentials, namespace: external-secrets}
stringData: {access_key_id: rehearsal, secret_access_key: not-a-secret-of-anybody}
---
apiVersion: external-secrets.io/v1
kind: ClusterSecretStore
metadata: {name: aws-secrets-store}
spec:
  provider:
    aws:
      service: SecretsManager
      region: ap-northeast-2
      auth:
        secretRef:
          accessKeyIDSecretRef: {name: aws-secrets-store-credentials, namespace: external-secrets, key: access_key_id}
          secretAccessKeySecretRef: {name: aws-secrets-store-credentials, namespace: external-secrets, key: secret_access_key}
---
apiVersion: v1
kind: Namespace
metadata: {name: wealist-prod}
STORE
kubectl wait --for condition=Ready --timeout 60s clustersecretstore/aws-secrets-store >/dev/null
kubectl apply --server-side -f - >/dev/null <<SECRET
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {name: shared-secrets, namespace: wealist-prod}
spec:
  secretStoreRef: {kind: ClusterSecretStore, name: aws-secrets-store}
  refreshInterval: 1h0m0s
  target: {name: wealist-shared-secret}
  dataFrom: [{extract: {key: wealist/prod/shared}}]
SECRET
kubectl wait --for condition=Ready --timeout 60s -n wealist-prod externalsecret/shared-secrets >/dev/null
kubectl get secret -n wealist-prod wealist-shared-secret -o name
