# SPDX-License-Identifier: Apache-2.0
# The header that flannelette's tests are written with; only the ptest needs it, and no other layer has it.

SUMMARY = "C++ testing framework in one header"
HOMEPAGE = "https://github.com/doctest/doctest"
SECTION = "devel"
LICENSE = "MIT"
LIC_FILES_CHKSUM = "file://doctest/doctest.h;beginline=9;endline=11;md5=299610b6597d2787ea4d631e00ee1dab"

SRC_URI = "git://github.com/doctest/doctest.git;protocol=https;branch=master;destsuffix=${BP}"
SRCREV = "ae7a13539fb71f270b87eb2e874fbac80bc8dda2"

inherit allarch

do_install() {
    install -D -m 0644 ${S}/doctest/doctest.h ${D}${includedir}/doctest/doctest.h
}

# All of it is in doctest-dev.
RDEPENDS:${PN}-dev = ""
