# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
#
# For scripts that take packages out of Debian's archive without installing them, as any user: a private apt, which checks all
# it says and brings against the archive's signature. It asks the mirror that this machine already uses.

OS_RELEASE=${OS_RELEASE:-/etc/os-release}

# archive_mirror: prints the mirror's address; fails, and says so, where apt knows none.
archive_mirror() {
  # shellcheck disable=SC2016 # $(REPO_URI) is for apt to expand
  command -v apt-get >/dev/null && apt-get indextargets --format '$(REPO_URI) $(ORIGIN) $(LABEL)' 'Created-By: Packages' |
    awk '$2 == "Debian" && $3 == "Debian" { print $1; found = 1; exit } END { exit !found }' && return
  echo "${0##*/}: this takes packages of Debian, and apt knows no Debian mirror here." >&2
  if grep -qx 'ID="\{0,1\}debian"\{0,1\}' "$OS_RELEASE" 2>/dev/null; then
    echo "Run apt-get update, or see /etc/apt." >&2
  else
    echo "make plain builds the program with this machine's libraries (toolchains/README.md)." >&2
  fi
  return 1
}

# archive_apt DIR ARCHITECTURE RELEASE COMMAND...: runs apt-get or apt-cache for that release and architecture ("source": for
# source packages). DIR is where this private apt lives; indices are fetched once a day.
archive_apt() {
  archive_dir=$1 archive_architecture=$2 archive_release=$3
  shift 3
  archive_kind='deb [target=Packages'
  [ "$archive_architecture" != source ] || archive_kind='deb-src [target=Sources' archive_architecture=$(dpkg --print-architecture)
  archive_line="$archive_kind signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $(archive_mirror) $archive_release main" || return
  mkdir -p "$archive_dir/lists/partial" "$archive_dir/cache/archives/partial"
  if [ "$(cat "$archive_dir/sources.list" 2>/dev/null)" != "$archive_line" ]; then
    echo "$archive_line" >"$archive_dir/sources.list"
    rm -f "$archive_dir/updated"
  fi
  if [ -z "$(find "$archive_dir/updated" -mtime -1 2>/dev/null)" ]; then
    if archive_run apt-get update; then touch "$archive_dir/updated"; else echo "${0##*/}: apt-get update failed, going on" >&2; fi
  fi
  archive_run "$@"
}

archive_run() {
  archive_command=$1
  shift
  "$archive_command" -qq -o Dir::Etc::SourceList="$archive_dir/sources.list" -o Dir::Etc::SourceParts=/dev/null \
    -o Dir::Etc::PreferencesParts=/dev/null -o Dir::State::Lists="$archive_dir/lists" -o Dir::State::status=/dev/null \
    -o Dir::Cache="$archive_dir/cache" -o APT::Architecture="$archive_architecture" -o APT::Sandbox::User="$(id -un)" \
    -o Acquire::Languages=none -o Acquire::Retries=3 "$@"
}

# archive_find DIR PACKAGE KIND RELEASE PATH: the file that the archive has today in the place of the pinned one at PATH
# (below pool/main/), of the same series: 3.6.x for 3.6.6. KIND: an architecture, or "source" for its .orig.tar. Prints
# "PATH SHA-256" of the newest, fails if there is none.
archive_find() {
  archive_version=${5##*/}
  archive_version=${archive_version#"$2_"} archive_version=${archive_version%.orig.tar.*} archive_version=${archive_version%%[_-]*}
  case $archive_version in
    *.*.*) archive_series=$(echo "$archive_version" | cut -d. -f1,2) ;;
    *) archive_series= ;; # versions of one number: any
  esac
  if [ "$3" = source ]; then
    archive_apt "$1" "$3" "$4" apt-cache showsrc --only-source "$2" | awk '
      $1 == "Version:" { version = $2 }
      $1 == "Directory:" { directory = $2 }
      /^[^ ]/ { sums = $1 == "Checksums-Sha256:" }
      sums && $3 ~ /\.orig\.tar\.[a-z0-9]+$/ { sum = $1; file = $3 }
      !NF { flush() }
      END { flush() }
      function flush() { if (file) print version, directory "/" file, sum; file = "" }'
  else
    archive_apt "$1" "$3" "$4" apt-cache show --all-versions "$2" | awk '
      $1 == "Version:" { version = $2 }
      $1 == "Filename:" { file = $2 }
      $1 == "SHA256:" { print version, file, $2 }'
  fi | sed 's|pool/main/||' | (
    best=
    while read -r version path sum; do
      case $archive_series.${version#*:} in .* | "$archive_series.$archive_series"[.~+-]*) ;; *) continue ;; esac
      [ -n "$best" ] && dpkg --compare-versions "$version" lt "$best" && continue
      best=$version line="$path $sum"
    done
    [ -n "$best" ] && echo "$line"
  )
}
