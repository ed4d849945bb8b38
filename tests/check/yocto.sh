#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The layer for Yocto: what bitbake and yocto-check-layer would refuse, what would go stale beside CMakeLists.txt and board/, the
# lines of its ptest, and its script for sysvinit. No bitbake is needed.
. "$(dirname "$0")/lib.sh"
status=0
undone=
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

layer=board/yocto/meta-flannelette
version=$(sed -n 's/^project(.*VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)
recipe=$layer/recipes-connectivity/flannelette/flannelette_$version.bb
files=$layer/recipes-connectivity/flannelette/files
fragment=$layer/recipes-kernel/linux/files/flannelette.cfg
[ -f "$recipe" ] || { echo "there is no $recipe, and the version is $version" && exit 1; }
for file in README.md SECURITY.md conf/layer.conf; do
  [ -s $layer/$file ] || wrong "there is no $layer/$file"
done
for file in "$files"/run-ptest "$files"/flannelette.init; do
  [ -x "$file" ] || wrong "$file cannot be run"
  grep -q "file://${file##*/}" "$recipe" || wrong "$recipe does not take ${file##*/}"
done

# yocto-check-layer reads no further in a page that names another README.
for word in maintainer patch '[^@ ]@[^@ ]'; do
  grep -qi "$word" $layer/README.md || wrong "$layer/README.md lacks $word"
done
! grep -qi 'readme' $layer/README.md || wrong "$layer/README.md: what it must say is not checked once it names a README"
for series in scarthgap wrynose; do
  grep -q "^LAYERSERIES_COMPAT_flannelette = \".*\b$series\b" $layer/conf/layer.conf || wrong "layer.conf: not for $series"
done

# wrynose refuses it; without it both find the source.
! grep -rnE '^ *S *[?:]*=.*(WORKDIR|/git)' $layer || wrong 'S is set'
md5=$(md5sum LICENSE)
grep -q "LIC_FILES_CHKSUM = \"file://LICENSE;md5=${md5%% *}\"" "$recipe" || wrong "$recipe: the MD5 of LICENSE is ${md5%% *}"

# Every option is there, and what is on by default is on here.
options=$(sed -n 's/^option(\(FLANNELETTE_[A-Z_]*\).*/\1/p' CMakeLists.txt | grep -vE '_(SANITIZE|FUZZ|WERROR)$')
for option in $options; do
  grep -q "^PACKAGECONFIG\[.*\"-D$option=ON,-D$option=OFF[,\"]" "$recipe" || wrong "$recipe: no PACKAGECONFIG is $option"
done
while IFS= read -r option; do
  grep -qE "^(option|set)\($option\b" CMakeLists.txt || wrong "CMakeLists.txt has no $option"
done < <(grep -o 'DFLANNELETTE_[A-Z_]*' "$recipe" | sed 's/^D//' | sort -u)
default=$(sed -n 's/^PACKAGECONFIG ??= "\(.*\)"/\1/p' "$recipe")
while IFS= read -r option; do
  [[ " $default " == *" ${option,,} "* ]] || wrong "$recipe: $option is on in CMakeLists.txt, and ${option,,} not in PACKAGECONFIG"
done < <(sed -n 's/^option(FLANNELETTE_\([A-Z_]*\) .* ON)$/\1/p' CMakeLists.txt)

# Modules that the fragment asks for are recommended; that of NFT_NAT has a second one for the chain.
cmp -s board/kernel.config $fragment || wrong "$fragment is not board/kernel.config"
{
  sed -n 's/^CONFIG_\(.*\)=m$/\1/p' board/kernel.config | tr 'A-Z_' 'a-z-'
  echo nft-chain-nat
} | sort >"$work/modules"
grep -o 'kernel-module-[a-z0-9-]*' "$recipe" | sed 's/kernel-module-//' | sort | diff "$work/modules" - >"$work/diff" ||
  wrong "$recipe recommends other modules than board/kernel.config has (<): $(cat "$work/diff")"

read -r name home < <(awk '$1 == "u" { print $2, $NF }' board/systemd/sysusers.d/flannelette.conf)
grep -q "^USERADD_PARAM:\${PN} = .* --home-dir ${home/\/var/\${localstatedir\}} .* $name\"$" "$recipe" ||
  wrong "$recipe: another user than that of board/systemd/sysusers.d, $name with $home"

# What CMakeLists.txt installs below lib is in a package.
while IFS= read -r folder; do
  grep -q "^ *\${nonarch_libdir}/$folder \\\\$" "$recipe" || wrong "$recipe: no package has lib/$folder"
done < <(sed -n '/^if(FLANNELETTE_UNIT_DIR)/,/^endif()/p' CMakeLists.txt | sed -n -e 's/.*foreach(folder \(.*\))/\1/p' \
  -e 's|.* DESTINATION lib/\([A-Za-z]*\).*|\1|p' -e 's|.*board/systemd/\([a-z]*\) DESTINATION lib .*|\1|p' | tr ' ' '\n')

# The ptest: a line for each test, as OE's logparser.py reads them, of our real output and of what tests seldom do.
cat >"$work/sim" <<'END'
#!/bin/sh
cat <<'TESTS'
[==========] agent/lease: Running 3 test(s).
[ RUN      ] what is skipped
[   LINE   ] --- skipped: no means
[  SKIPPED ] what is skipped
[ RUN      ] f(x) of #1 fails
[  ERROR   ] --- 1 != 2
[  FAILED  ] f(x) of #1 fails
[ RUN      ] what never ends
TESTS
kill -SEGV $$
END
printf '#!/bin/sh\necho cannot be loaded\nexit 127\n' >"$work/kernel"
chmod +x "$work/sim" "$work/kernel"
cp "$files"/run-ptest "$work/"
unit=$PWD/${FLANNELETTE_BUILD_DIR:-build}/test/tests/unit
if [ -x "$unit" ]; then
  ln -s "$unit" "$work/unit"
  "$unit" -ts='base/*,json/*' >"$work/plain"
  "$work/run-ptest" -ts='base/*,json/*' >"$work/log" 2>/dev/null && wrong 'run-ptest: success with failed tests'
  passed=$(grep -c '^\[       OK \]' "$work/plain")
  lines=$(grep '^PASS: unit: ' "$work/log" | sort -u | wc -l)
  [[ $passed -gt 50 && $lines == "$passed" ]] || wrong "run-ptest: $passed tests pass, and it has $lines names of such"
  grep -E '^(PASS|FAIL|SKIP):' "$work/log" | grep -v '^PASS: unit: ' >"$work/rest"
  diff - "$work/rest" >"$work/diff" <<'END' || wrong "run-ptest: $(cat "$work/diff")"
SKIP: sim: agent/lease: what is skipped
FAIL: sim: agent/lease: f[x] of No. 1 fails
FAIL: sim: agent/lease: what never ends
FAIL: sim: binary: exit status 139
FAIL: kernel: binary: ran no test, exit status 127
END
else
  undone='the unit tests are not built (make build-test)'
fi

# The script for sysvinit, on a /run of its own: one agent, its log goes to syslog, and it is gone when stop returns.
mkdir "$work/bin"
cat >"$work/bin/flannelette" <<'END'
#!/bin/sh
[ "$*" = run ] || exit 1
trap 'echo reloaded' HUP
trap 'echo gone; exit 0' TERM
echo started
while :; do sleep 0.1; done
END
printf '#!/bin/sh\nexec cat >>"%s"\n' "$work/syslog" >"$work/bin/logger"
chmod +x "$work/bin/"*
cat >"$work/session" <<'END'
mount -t tmpfs none /run && mount -t tmpfs none /var/lib || exit 1
line() {  # text, times: waits until syslog has it so often
  local until=$((SECONDS + 10))
  until [ "$(grep -c "$1" "$work/syslog" 2>/dev/null)" = "$2" ]; do
    [ $SECONDS -lt $until ] || { echo "init script: not $2 times '$1'"; return; }
    sleep 0.1
  done
}
"$init" status && echo 'init script: runs before it is started'
"$init" reload && echo 'init script: reloads what does not run'
"$init" start || echo 'init script: no start'
line started 1
"$init" start && "$init" status || echo 'init script: does not run'
"$init" reload || echo 'init script: no reload'
line reloaded 1
"$init" restart || echo 'init script: no restart'
line gone 1
line started 2
"$init" stop || echo 'init script: no stop'
"$init" status && echo 'init script: runs although it is stopped'
"$init" stop || echo 'init script: no second stop'
line gone 2
line started 2
mount -o remount,ro /var/lib
"$init" start && "$init" status || echo 'init script: does not run where no state can be written'
"$init" stop
END
namespace=(unshare --user --map-root-user --mount --pid --fork --mount-proc)
if "${namespace[@]}" true 2>/dev/null; then
  export work init=$PWD/$files/flannelette.init
  said=$(PATH="$work/bin:$PATH" timeout 60 "${namespace[@]}" bash "$work/session" 2>&1) || wrong 'init script: not all was tried'
  [ -z "$said" ] || wrong "$said"
else
  undone='there are no user namespaces here'
fi

[ $status -ne 0 ] || [ -z "$undone" ] || { echo "$undone" && exit 77; }
exit $status
