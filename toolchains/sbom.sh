#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# sbom.sh TARGET: prints what is in the static program of TARGET as a bill of materials (SPDX 2.3, JSON): each component with version, licence
# and the file that it was made of, which is the one that the build took (toolchains/pins, or its successor: fetch.sh).
set -eu
target=$1
cd "$(dirname "$0")/.."
downloads=build/sysroot/downloads
program=build/$target/flannelette
gnu=$(toolchains/target.sh "$target" gnu)
architecture=$(toolchains/target.sh "$target" debian)
version=$(toolchains/news.sh version)
created=$(date -u -d "@$(toolchains/news.sh epoch)" +%Y-%m-%dT%H:%M:%SZ)
sum() { sha256sum "$1" | cut -d ' ' -f 1; }

# package NAME VERSION LICENCE COPYRIGHT SHA-256 PURL
package() {
  printf '    {"SPDXID": "SPDXRef-%s", "name": "%s", "versionInfo": "%s", "downloadLocation": "NOASSERTION", "filesAnalyzed": false,\n' \
    "$1" "$1" "$2"
  printf '     "licenseConcluded": "%s", "licenseDeclared": "%s", "copyrightText": "%s"' "$3" "$3" "$4"
  [ -z "$5" ] || printf ',\n     "checksums": [{"algorithm": "SHA256", "checksumValue": "%s"}]' "$5"
  [ -z "$6" ] || printf ',\n     "externalRefs": [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": "%s"}]' "$6"
  printf '}'
}

# pinned NAME PACKAGE SUFFIX ARCHITECTURE LICENCE COPYRIGHT: one that fetch.sh brought as PACKAGE_VERSIONSUFFIX
pinned() {
  file=$(find $downloads -maxdepth 1 -name "$2_*$3")
  file_version=$(basename "$file" | sed "s/^$2_//; s/\.orig\.tar\..*//; s/_.*//")
  printf ',\n'
  package "$1" "$file_version" "$5" "$6" "$(sum "$file")" "pkg:deb/debian/$2@$file_version?arch=$4"
}

cat <<END
{
  "spdxVersion": "SPDX-2.3",
  "dataLicense": "CC0-1.0",
  "SPDXID": "SPDXRef-DOCUMENT",
  "name": "flannelette-$version-$target",
  "documentNamespace": "https://spdx.org/spdxdocs/flannelette-$version-$target-$(sum "$program")",
  "creationInfo": {"created": "$created", "creators": ["Organization: flannelette maintainers", "Tool: toolchains/sbom.sh"]},
  "packages": [
END
package flannelette "$version" Apache-2.0 'flannelette contributors' "$(sum "$program")" ''
pinned musl musl '.orig.tar.*' source MIT 'Rich Felker, et al.'
pinned mbedtls mbedtls '.orig.tar.*' source Apache-2.0 'The Mbed TLS Contributors'
pinned inih libinih '.orig.tar.*' source BSD-3-Clause 'Ben Hoyt'
pinned libmnl libmnl-dev "_$architecture.deb" "$architecture" LGPL-2.1-or-later 'Pablo Neira Ayuso'
printf ',\n'
package gcc-runtime "$("$gnu-gcc" -dumpfullversion)" 'GPL-3.0-or-later WITH GCC-exception-3.1' 'Free Software Foundation, Inc.' '' ''
cat <<END

  ],
  "relationships": [
    {"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES", "relatedSpdxElement": "SPDXRef-flannelette"},
$(for component in musl mbedtls inih libmnl gcc-runtime; do
  printf '    {"spdxElementId": "SPDXRef-flannelette", "relationshipType": "STATIC_LINK", "relatedSpdxElement": "SPDXRef-%s"},\n' $component
done | sed '$s/,$//')
  ]
}
END
