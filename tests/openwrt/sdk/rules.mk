# SPDX-License-Identifier: Apache-2.0
#
# Stands in for OpenWrt's rules.mk, package.mk and cmake.mk, as far as openwrt/flannelette/Makefile goes: `package` installs the package's files
# below DESTDIR, and below DESTDIR/CONTROL its scripts, version, dependencies and options of CMake; `prepare` puts the sources into PKG_BUILD_DIR.

INCLUDE_DIR := $(TOPDIR)/include
INSTALL_DIR := install -d -m0755
INSTALL_BIN := install -m0755
INSTALL_CONF := install -m0600
INSTALL_DATA := install -m0644
CP := cp -fpR
cmake_bool = $(patsubst %,-D%:BOOL=$(if $($(1)),ON,OFF),$(2))

define BuildPackage
$(eval $(Package/$(1)))
export CONFFILES PRERM
CONFFILES = $$(Package/$(1)/conffiles)
PRERM = $$(Package/$(1)/prerm)
package:
	install -d $(DESTDIR)/CONTROL
	printf '%s\n' "$$$$CONFFILES" >$(DESTDIR)/CONTROL/conffiles
	printf '%s\n' "$$$$PRERM" >$(DESTDIR)/CONTROL/prerm
	printf '%s\n' $$(CMAKE_OPTIONS) >$(DESTDIR)/CONTROL/cmake
	printf '%s\n' '$(PKG_VERSION)' >$(DESTDIR)/CONTROL/version
	printf '%s\n' $$(DEPENDS) >$(DESTDIR)/CONTROL/depends
	$$(call Package/$(1)/install,$(DESTDIR))
prepare:
	$$(call Build/Prepare)
endef
