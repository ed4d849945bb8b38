#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The manifests of board/k3s hold what their page promises: the image of this version, no right and no capability beyond, probes that are
# answered, one copy of everything. That an API server takes them, and that the rights are enough, the part kube shows.
. "$(dirname "$0")/lib.sh"
status=0
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

set_of() { grep -oE "$1" "$2" | sort | uniq -c | sed 's/^ *//' | paste -sd ';'; }  # what is found how often
# found PATTERN EXPECTED [FILE]
found() {
  local file=${3:-board/k3s/flannelette.yaml} what
  what=$(set_of "$1" "$file")
  [ "$what" = "$2" ] || wrong "$file: '$what', not '$2'"
}

version=$(sed -n 's/^project(.*VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)
found 'image: .*' "2 image: localhost/flannelette:$version"

# Two containers, each with nothing but its folders, one with one capability.
found '(privileged|hostPID|hostIPC|allowPrivilegeEscalation|readOnlyRootFilesystem|runAsUser|(drop|add)): .*' \
  '1 add: [NET_ADMIN];2 allowPrivilegeEscalation: false;2 drop: [ALL];1 privileged: false;2 readOnlyRootFilesystem: true;2 runAsUser: 0'
found '(cpu|memory): .*' '2 cpu: 10m;2 memory: 32Mi;2 memory: 8Mi'
found 'seccompProfile|RuntimeDefault' '1 RuntimeDefault;1 seccompProfile'
found '(system-node-critical|hostNetwork: true|effect: .*)' '1 effect: NoExecute;1 effect: NoSchedule;1 hostNetwork: true;1 system-node-critical'
found 'verbs: .*|resources: .*' '1 resources: [nodes/status];1 resources: [nodes];1 verbs: [get, list, watch];1 verbs: [patch]' board/k3s/rbac.yaml

# The probes ask where the arguments let it answer, for what it answers.
argument() { sed -n "s/^ *- --healthz-$1=//p" board/k3s/flannelette.yaml; }
found '(host|port): [0-9.]+' "2 host: $(argument ip);2 port: $(argument port)"
found 'path: /(healthz|readyz)' '1 path: /healthz;1 path: /readyz'
for path in healthz readyz; do
  grep -rq "\"/$path\"" src || wrong "the program serves no /$path"
done

# One namespace, and mounts that exist.
grep -hoE 'namespace: .*' board/k3s/{rbac,flannelette}.yaml | grep -vx 'namespace: flannelette' && wrong 'another namespace'
sed -n '/volumeMounts:/,/^ *[a-z]*:$/s/^ *- name: //p' board/k3s/flannelette.yaml | sort -u >"$work/mounts"
sed -n '/^      volumes:/,$s/^      - name: //p' board/k3s/flannelette.yaml | sort >"$work/volumes"
cmp -s "$work/mounts" "$work/volumes" || wrong "flannelette.yaml mounts $(paste -sd ' ' "$work/mounts"), and has $(paste -sd ' ' "$work/volumes")"

# What is the host's has the host's name.
sed -n '/^ *hostPath:/{n;s/^ *path: //p}' board/k3s/flannelette.yaml | sort >"$work/host"
sed -n 's/^ *mountPath: //p' board/k3s/flannelette.yaml | grep -vx /etc/kube-flannel | sort | cmp -s - "$work/host" ||
  wrong "flannelette.yaml: the folders of the host are $(paste -sd ' ' "$work/host"), and mounted elsewhere"

# kustomize has no copy: its resources are all files that are there.
sed -n 's/^- //p' board/k3s/kustomization.yaml | sort >"$work/resources"
(cd board/k3s && ls ./*.yaml) | sed 's|^\./||' | grep -vx kustomization.yaml | sort | cmp -s - "$work/resources" ||
  wrong "kustomization.yaml: $(paste -sd ' ' "$work/resources")"

# The page's overlay, with the base where it says; it is built where there is kubectl.
mkdir -p "$work/overlay/flannelette"
ln -s "$PWD/board" "$work/overlay/flannelette/board"
sed -n '/^    resources: /,/^$/s/^    //p' board/k3s/README.md >"$work/overlay/kustomization.yaml"
[ -s "$work/overlay/kustomization.yaml" ] || wrong 'README.md has no overlay'
if command -v kubectl >/dev/null; then
  kubectl kustomize "$work/overlay" >"$work/all.yaml" || wrong 'README.md: the overlay cannot be built'
  found 'image: .*' "2 image: registry.example/flannelette:$version" "$work/all.yaml"
  found '"Network": "[^"]*"' '1 "Network": "10.244.0.0/16"' "$work/all.yaml"
  found 'path: .*/net.d' '1 path: /var/lib/rancher/k3s/agent/etc/cni/net.d' "$work/all.yaml"
fi
exit $status
