#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# make install puts the shipped program and all that belongs to it into the folders that GNU's names say, whatever the umask; and the news begin
# with the version of this tree, and are a changelog of Debian's form.
. "$(dirname "$0")/lib.sh"
machine=$(toolchains/target.sh -m)
[ -f "build/$machine/flannelette" ] || { echo "build/$machine/flannelette is not there: run make first"; exit 1; }
unset MAKEFLAGS
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
# install_by VARIABLES...: make install into an empty folder, of what is built
install_by() {
  rm -rf "$work/root"
  (umask 077 && make -s -o all install DESTDIR="$work/root" "$@") >"$work/log" 2>&1 || wrong "make install $*: $(cat "$work/log")"
}

has() {  # mode, path
  [ "$(stat -c %a "$work/root$2" 2>/dev/null)" = "$1" ] || wrong "$2 is not there with mode $1: $(cd "$work" && find root -type f)"
}

install_by
has 755 /usr/local/sbin/flannelette
has 755 /usr/local/share/man
has 644 /usr/local/share/man/man8/flannelette.8
has 644 /usr/local/lib/systemd/system/flannelette.service
has 644 /etc/flannelette.ini
cmp "build/$machine/flannelette" "$work/root/usr/local/sbin/flannelette" || wrong 'it is not the shipped program'

install_by prefix=/opt/f sbindir=/opt/bin mandir=/opt/man docdir=/opt/doc datadir=/opt/data unitdir=
has 755 /opt/bin/flannelette
has 644 /opt/man/man5/flannelette.ini.5
has 644 /opt/doc/LICENSE
has 644 /opt/data/bash-completion/completions/flannelette
[ ! -e "$work/root/opt/f" ] || wrong "unitdir= installs $(cd "$work/root" && find opt/f -type f)"

# A second time over somebody's settings and an old program.
echo '[log]' >"$work/root/etc/flannelette.ini"
echo old >"$work/root/opt/bin/flannelette"
make -s -o all install DESTDIR="$work/root" prefix=/opt/f sbindir=/opt/bin >"$work/log" 2>&1 || wrong "$(cat "$work/log")"
[ "$(cat "$work/root/etc/flannelette.ini")" = '[log]' ] || wrong 'the INI file that was there is overwritten'
grep -q "^Left as it is: $work/root/etc/flannelette.ini" "$work/log" || wrong "it does not say that the INI file stays: $(cat "$work/log")"
cmp -s "build/$machine/flannelette" "$work/root/opt/bin/flannelette" || wrong 'the old program stays'
install_by  # leaves build/ configured with the usual folders

version=$(toolchains/news.sh version)
head -n 1 <(grep '^## ' .github/NEWS.md) | grep -qE "^## $version \(20[0-9]{2}-[0-9]{2}-[0-9]{2}\)$" ||
  wrong ".github/NEWS.md does not begin with ## $version (date)"
changelog=$(toolchains/news.sh changelog name 'A <a@b>')
[[ $changelog == "name ($version) unstable; urgency=medium"$'\n\n  * '* ]] || wrong "changelog: $changelog"
! grep -E '.{81}' <<<"$changelog" || wrong 'lines of the changelog are longer than 80 characters'
[ "$(grep -c '^name (' <<<"$changelog")" = "$(grep -c '^ -- A <a@b>  ' <<<"$changelog")" ] || wrong "changelog: $changelog"
exit $status
