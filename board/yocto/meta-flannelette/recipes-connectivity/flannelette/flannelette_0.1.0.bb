# SPDX-License-Identifier: Apache-2.0
# The agent with shared libraries, its service for systemd or sysvinit, and its tests as a ptest.

SUMMARY = "Overlay network agent for small machines, compatible with flannel"
DESCRIPTION = "Joins an overlay network of flannel (VXLAN, host-gw) through etcd or Kubernetes, with the same records and \
the same kernel objects as flanneld."
SECTION = "net"
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://LICENSE;md5=3b83ef96387f14655fc854ddc3c6bd57"

DEPENDS = "libmnl libinih"

# What is built is the tree that this layer is part of. FLANNELETTE_SRC_URI names another source: a git repository
# ("git:///srv/flannelette;protocol=file;branch=main", and SRCREV for this recipe), or a release as a file.
FLANNELETTE_SRC_URI ?= ""
EXTERNALSRC ?= "${@'' if d.getVar('FLANNELETTE_SRC_URI') else os.path.realpath(d.getVar('FILE_DIRNAME') + '/../../../../..')}"
EXTERNALSRC_SYMLINKS ?= ""
SRC_URI = "${@'${FLANNELETTE_SRC_URI};destsuffix=${BP}' if d.getVar('FLANNELETTE_SRC_URI') else ''} \
           file://flannelette.init \
           file://run-ptest"

inherit cmake systemd useradd ptest bash-completion externalsrc
inherit ${@bb.utils.contains('DISTRO_FEATURES', 'sysvinit', 'update-rc.d', '', d)}

# Each is an option of CMakeLists.txt. Without libstdc++ is the default, since nothing of it is needed.
PACKAGECONFIG ??= "tls kube names iptables leave check status http regex no-libstdcxx ${@bb.utils.contains('PTEST_ENABLED', '1', 'tests', '', d)}"
PACKAGECONFIG[tls] = "-DFLANNELETTE_TLS=ON,-DFLANNELETTE_TLS=OFF,mbedtls"
PACKAGECONFIG[kube] = "-DFLANNELETTE_KUBE=ON,-DFLANNELETTE_KUBE=OFF"
PACKAGECONFIG[names] = "-DFLANNELETTE_NAMES=ON,-DFLANNELETTE_NAMES=OFF"
PACKAGECONFIG[iptables] = "-DFLANNELETTE_IPTABLES=ON,-DFLANNELETTE_IPTABLES=OFF"
PACKAGECONFIG[leave] = "-DFLANNELETTE_LEAVE=ON,-DFLANNELETTE_LEAVE=OFF"
PACKAGECONFIG[check] = "-DFLANNELETTE_CHECK=ON,-DFLANNELETTE_CHECK=OFF"
PACKAGECONFIG[status] = "-DFLANNELETTE_STATUS=ON,-DFLANNELETTE_STATUS=OFF"
PACKAGECONFIG[http] = "-DFLANNELETTE_HTTP=ON,-DFLANNELETTE_HTTP=OFF"
PACKAGECONFIG[regex] = "-DFLANNELETTE_REGEX=ON,-DFLANNELETTE_REGEX=OFF"
PACKAGECONFIG[no-libstdcxx] = "-DFLANNELETTE_NO_LIBSTDCXX=ON,-DFLANNELETTE_NO_LIBSTDCXX=OFF"
PACKAGECONFIG[lto] = "-DFLANNELETTE_LTO=ON,-DFLANNELETTE_LTO=OFF"
# Needs the libraries as .a, which most distributions switch off.
PACKAGECONFIG[static] = "-DFLANNELETTE_STATIC=ON,-DFLANNELETTE_STATIC=OFF"
# The system calls of musl are known: for images with it.
PACKAGECONFIG[sandbox] = "-DFLANNELETTE_SANDBOX=ON,-DFLANNELETTE_SANDBOX=OFF"
# For a static program without TLS.
PACKAGECONFIG[small-heap] = "-DFLANNELETTE_SMALL_HEAP=ON,-DFLANNELETTE_SMALL_HEAP=OFF"
PACKAGECONFIG[tests] = "-DFLANNELETTE_TESTS=ON,-DFLANNELETTE_TESTS=OFF,doctest"

# An image with systemd has its unit where that release looks for it; another one has none of those files.
EXTRA_OECMAKE += "-DFLANNELETTE_UNIT_DIR=${@bb.utils.contains('DISTRO_FEATURES', 'systemd', '${systemd_system_unitdir}', '', d)}"
OECMAKE_TARGET_COMPILE = "flannelette"

SYSTEMD_SERVICE:${PN} = "flannelette.service"
INITSCRIPT_NAME = "flannelette"
INITSCRIPT_PARAMS = "defaults 80 20"

# As board/systemd/sysusers.d has it.
USERADD_PACKAGES = "${PN}"
USERADD_PARAM:${PN} = "--system --user-group --no-create-home --home-dir ${localstatedir}/lib/flannelette --shell /sbin/nologin flannelette"

# An image's INI file, instead of the commented example.
FLANNELETTE_INI ?= ""
do_install[file-checksums] += "${@d.getVar('FLANNELETTE_INI') + ':True' if d.getVar('FLANNELETTE_INI') else ''}"

# Newer releases unpack into UNPACKDIR, scarthgap into WORKDIR.
do_install:append() {
    if [ -n "${FLANNELETTE_INI}" ]; then
        install -m 0644 ${FLANNELETTE_INI} ${D}${sysconfdir}/flannelette.ini
    fi
    if ${@bb.utils.contains('DISTRO_FEATURES', 'sysvinit', 'true', 'false', d)}; then
        install -D -m 0755 ${@d.getVar('UNPACKDIR') or d.getVar('WORKDIR')}/flannelette.init ${D}${sysconfdir}/init.d/flannelette
    fi
}

do_compile_ptest() {
    cmake_runcmake_build --target test_unit test_sim test_kernel
}

# The unit tests read documents of the project, which they look for upwards from their own place.
do_install_ptest() {
    install -m 0755 ${B}/tests/unit ${B}/tests/sim ${B}/tests/kernel ${D}${PTEST_PATH}
    cd ${S}
    cp --parents README.md board/flannelette.ini board/*/flannelette.ini board/man/* board/prometheus/* ${D}${PTEST_PATH}
}

FILES:${PN} += " \
    ${nonarch_libdir}/NetworkManager \
    ${nonarch_libdir}/firewalld \
    ${nonarch_libdir}/modules-load.d \
    ${nonarch_libdir}/sysctl.d \
    ${nonarch_libdir}/systemd \
    ${nonarch_libdir}/sysusers.d \
"
CONFFILES:${PN} = "${sysconfdir}/flannelette.ini"

# What board/kernel.config has as a module; recommended only, since a kernel may have it built in.
RRECOMMENDS:${PN} += " \
    kernel-module-bridge \
    kernel-module-nf-conntrack \
    kernel-module-nf-nat \
    kernel-module-nf-tables \
    kernel-module-nft-chain-nat \
    kernel-module-nft-masq \
    kernel-module-nft-nat \
    kernel-module-veth \
    kernel-module-vxlan \
"
# What the kernel's tests call; those that miss one are skipped.
RRECOMMENDS:${PN}-ptest += "iproute2 nftables openssl-bin procps iputils-ping python3-core"
