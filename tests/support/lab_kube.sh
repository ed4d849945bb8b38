# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# A real API server of Kubernetes in a lab (lab.sh): $KUBE_APISERVER with its etcd, $KUBE_ETCD, on the underlay bridge's
# address. There is no kubelet and no controller: Nodes are made here, with their podCIDR.

readonly LAB_KUBE=https://$LAB_HOST:6443
readonly LAB_KUBE_DIR=$LAB_DIR/kube # keys; kubeconfig, for agents

# lab_kube: start etcd and the API server. It is ready when lab_kube_request succeeds.
lab_kube() {
  local dir=$LAB_KUBE_DIR
  mkdir -p "$dir"
  printf '[req]\ndistinguished_name=dn\n[dn]\n' >"$dir/conf"
  lab_kube_certificate ca /CN=lab -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign
  lab_kube_certificate server /CN=kube-apiserver -CA "$dir/ca.pem" -CAkey "$dir/ca.key" \
    -addext basicConstraints=critical,CA:FALSE -addext "subjectAltName=IP:$LAB_HOST"
  cat >"$dir/tokens" <<END
admin,admin,1,system:masters
flannelette,system:serviceaccount:flannelette:flannelette,2
END
  cat >"$dir/kubeconfig" <<END
apiVersion: v1
kind: Config
clusters:
- name: lab
  cluster:
    server: $LAB_KUBE
    certificate-authority: ca.pem
users:
- name: flannelette
  user:
    token: flannelette
contexts:
- name: lab
  context:
    cluster: lab
    user: flannelette
current-context: lab
END
  LAB_ETCD_PROGRAM=$KUBE_ETCD lab_etcd
  env -i PATH="$PATH" "$KUBE_APISERVER" --etcd-servers="$LAB_ETCD" --bind-address="$LAB_HOST" --secure-port=6443 \
    --advertise-address="$LAB_HOST" --endpoint-reconciler-type=none --cert-dir="$dir" --client-ca-file="$dir/ca.pem" \
    --tls-cert-file="$dir/server.pem" --tls-private-key-file="$dir/server.key" --authorization-mode=RBAC \
    --token-auth-file="$dir/tokens" --service-account-issuer="$LAB_KUBE" --service-account-key-file="$dir/server.pem" \
    --service-account-signing-key-file="$dir/server.key" --service-cluster-ip-range=10.0.0.0/24 \
    </dev/null >"$dir/log" 2>&1 3>&- &
}

# lab_kube_certificate NAME SUBJECT ARGUMENT...: NAME.pem and NAME.key.
lab_kube_certificate() {
  openssl req -x509 -config "$LAB_KUBE_DIR/conf" -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
    -keyout "$LAB_KUBE_DIR/$1.key" -out "$LAB_KUBE_DIR/$1.pem" -subj "$2" "${@:3}" 2>/dev/null
}

# lab_kube_request METHOD PATH [TYPE BODY]: prints the answer; fails, silently, if it is none or an error.
lab_kube_request() {
  curl -sf --noproxy '*' -A lab --cacert "$LAB_KUBE_DIR/ca.pem" -H 'Authorization: Bearer admin' -X "$1" "$LAB_KUBE$2" \
    ${3:+-H "Content-Type: application/$3" --data-binary "$4"}
}

# lab_kube_rights MANIFEST: the four documents of board/k3s/rbac.yaml.
lab_kube_rights() {
  local manifest path
  manifest=$(<"$1")
  for path in /api/v1/namespaces{,/flannelette/serviceaccounts} /apis/rbac.authorization.k8s.io/v1/clusterrole{s,bindings}; do
    lab_kube_request POST "$path" yaml "${manifest%%$'\n---\n'*}" >/dev/null || return
    manifest=${manifest#*$'\n---\n'}
  done
}

# lab_kube_node NAME POD_CIDR: a machine's Node, as kubelet and controller make it. The machine gets /run/kubeconfig.
lab_kube_node() {
  cp "$LAB_KUBE_DIR"/{kubeconfig,ca.pem} "$LAB_DIR/$1/run/"
  lab_kube_request POST /api/v1/nodes json "{\"metadata\":{\"name\":\"$1\",\"annotations\":{\"lab\":\"node\"}},
    \"spec\":{\"podCIDR\":\"$2\",\"podCIDRs\":[\"$2\"]}}" >/dev/null
}
