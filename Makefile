# SPDX-License-Identifier: Apache-2.0
#
# The usual ways in; what is built and how is in CMakeLists.txt, for what in toolchains/targets.

MACHINE := $(shell toolchains/target.sh -m)
TARGETS := $(shell toolchains/target.sh)
DEBIAN_TARGETS := $(shell awk '/^[^#]/ && $$4 != "-" { print $$1 }' toolchains/targets)
# Beside this machine make test has these on kernels of their own, and the smallest build of this one; make test-more has the next
# ones; make test-targets has all.
VM_TARGETS := aarch64
MORE_TARGETS := armv7
NOTLS_TARGET := aarch64
# Those that have a budget for the program without Kubernetes; make test-more and make size build it.
ROUTER_TARGETS := x86_64 aarch64 armv7
# Those that have a budget for what an SDK links; make test-targets and make size build it.
SHARED_TARGETS := mips mipsel
TARGET  ?=
TLS     ?= 1
KUBE    ?= 1
SHARED  ?= 0
BUILD   := $(if $(filter 0,$(TLS)),notls,$(if $(filter 1,$(SHARED)),shared,$(if $(filter 0,$(KUBE)),router,cross)))
CMAKE   := cmake -G Ninja -S . --no-warn-unused-cli --log-level=WARNING -DFLANNELETTE_WERROR=ON -DCMAKE_INSTALL_PREFIX=/usr
KEEP    ?=
SECONDS ?= 60
FUZZ    ?=

# Where `make install` puts what it installs: GNU's names. The program knows sysconfdir, so another one builds it anew.
DESTDIR     =
prefix      = /usr/local
exec_prefix = $(prefix)
sbindir     = $(exec_prefix)/sbin
sysconfdir  = /etc
datarootdir = $(prefix)/share
datadir     = $(datarootdir)
mandir      = $(datarootdir)/man
docdir      = $(datarootdir)/doc/flannelette
unitdir     = $(prefix)/lib/systemd/system
export SYSCONFDIR := $(sysconfdir)

.PHONY: all plain build cross build-test build-test-target build-asan build-fuzz fuzz test test-binaries test-programs test-more test-targets quick soak bench demo check size pins install deb image dist clean help

# Elsewhere than on Debian, without a mirror of it, `make` and `make install` take the plain build.
all:
	@if toolchains/plain.sh --wanted; then $(MAKE) --no-print-directory plain && ln -sf plain/flannelette build/flannelette; \
	  else $(MAKE) --no-print-directory build; fi

plain: ## build/plain/flannelette, as a distribution builds it: with this machine's compiler and shared libraries
	@toolchains/plain.sh

build: cross-$(MACHINE) ## the static, stripped binary for this machine: build/flannelette
	@cp --remove-destination build/$(MACHINE)/flannelette build/flannelette

cross: $(addprefix $(BUILD)-,$(or $(TARGET),$(TARGETS))) ## build/NAME/flannelette for every target or for TARGET=NAME; KUBE=0: build/NAME-router; SHARED=1: build/NAME-shared; TLS=0: build/NAME-notls

cross-%:
	@toolchains/build.sh $* program

router-%:
	@toolchains/build.sh $* router

shared-%:
	@toolchains/build.sh $* shared

notls-%:
	@toolchains/build.sh $* notls

cross-test-%:
	@toolchains/build.sh $* tests

build-test-target: ## unit and sim test binaries for TARGET=NAME: build/NAME-test/tests
	@toolchains/build.sh $(or $(TARGET),$(MACHINE)) tests

build-test: ## build/test: the test binaries, with glibc and symbols
	@toolchains/install.sh build test
	@$(CMAKE) -B build/test -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS_DEBUG="-O1 -g" -DFLANNELETTE_TESTS=ON
	@cmake --build build/test --target tests

build-asan: ## build/asan: the same by clang, for its warnings, with address and undefined behaviour sanitizers
	@toolchains/install.sh build test fuzz
	@grep -qs '^CMAKE_CXX_COMPILER:.*clang' build/asan/CMakeCache.txt || rm -rf build/asan
	@$(CMAKE) -B build/asan -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_COMPILER=clang -DCMAKE_CXX_COMPILER=clang++ \
	  -DCMAKE_CXX_FLAGS_DEBUG="-O1 -g" -DFLANNELETTE_TESTS=ON -DFLANNELETTE_SANITIZE=ON
	@cmake --build build/asan --target tests

build-fuzz: ## build/fuzz: the fuzz targets, with clang's fuzzer and the sanitizers
	@toolchains/install.sh build test fuzz
	@$(CMAKE) -B build/fuzz -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_COMPILER=clang -DCMAKE_CXX_COMPILER=clang++ \
	  -DCMAKE_CXX_FLAGS_DEBUG="-O1 -g -D_GLIBCXX_ASSERTIONS" -DFLANNELETTE_SANITIZE=ON -DFLANNELETTE_FUZZ=ON
	@cmake --build build/fuzz --target fuzz_targets

fuzz: build-fuzz ## runs each fuzz target SECONDS long, two at a time; what is new joins tests/fuzz/corpus; FUZZ='http json' some
	@tests/fuzz/run.sh $(SECONDS) $(FUZZ)

# All packages at once, then two things at a time: while one configures, fetches or links, the other compiles.
test: ## all tests and checks; the program on an ARM kernel among them
	@toolchains/install.sh build test fuzz qemu-user vm $(addprefix cross-,$(filter-out $(MACHINE),$(VM_TARGETS) $(NOTLS_TARGET)))
	@CMAKE_BUILD_PARALLEL_LEVEL=$${CMAKE_BUILD_PARALLEL_LEVEL:-$$(nproc)} $(MAKE) --no-print-directory -j2 test-binaries test-programs
	@VM_TARGETS="$(VM_TARGETS)" NOTLS_TARGET=$(NOTLS_TARGET) tests/run.sh

test-binaries:
	@$(MAKE) --no-print-directory -j1 build-test build-asan

test-programs:
	@$(MAKE) --no-print-directory -j1 build $(addprefix vm-,$(VM_TARGETS)) notls-$(NOTLS_TARGET)

quick: ## unit and sim, and of them only what has changed is compiled
	@[ -f build/test/build.ninja ] || $(MAKE) --no-print-directory build-test
	@cmake --build build/test --target test_unit test_sim
	@tests/run.sh unit sim

vm-%: cross-%
	@toolchains/install.sh test qemu-user vm
	@tests/targets/vm.sh $* build/vm/$*

# The image is of what is built here and for make test.
test-more: build deb build-test $(addprefix cross-,$(VM_TARGETS)) $(addprefix vm-,$(MORE_TARGETS)) $(addprefix router-,$(ROUTER_TARGETS)) ## what is slow and seldom finds anything: etcd 3.5, more damages at random, the program on the other ARM kernel, the Debian package, the service under systemd, the container image, the sizes
	-@toolchains/image.sh $(sort $(MACHINE) $(VM_TARGETS) $(MORE_TARGETS))
	@toolchains/install.sh qemu-user
	@tests/run.sh $(foreach target,$(MORE_TARGETS),program@$(target) vm@$(target)) package systemd@bookworm systemd@trixie image system-etcd35 chaos check-size

test-targets: build dist build-test cross $(addprefix vm-,$(if $(filter test-targets,$(MAKECMDGOALS)),$(shell tests/targets/vm.sh))) $(addprefix cross-test-,$(filter-out $(MACHINE),$(TARGETS))) $(addprefix shared-,$(SHARED_TARGETS)) ## the tests on all other targets, emulated, some also on kernels of their own; the releases once more; and all of test-more
	@toolchains/install.sh lintian
	@tests/run.sh targets

bench: build build-test ## measures and prints one table: tests/bench/README.md; PARTS='sync nodes' FLANNELD=path PLOT=1
	@cmake --build build/$(MACHINE)/obj --target bench_probe
	@cmake --build build/test --target bench
	@tests/bench/run.sh $(PARTS)

soak: build build-test ## faults of a real etcd and damages of a node at random, and ten minutes of nothing
	@FLANNELETTE_CHAOS=1000 build/test/tests/system --no-skip --test-suite=soak,system/chaos

demo: build ## three nodes and an etcd on this machine; KEEP=1 leaves them running
	@toolchains/install.sh demo
	@KEEP=$(KEEP) tests/demo.sh

size: $(addprefix cross-,$(TARGETS)) $(addprefix router-,$(ROUTER_TARGETS)) $(addprefix shared-,$(SHARED_TARGETS)) notls-$(NOTLS_TARGET) ## a table of what is in the binary of every target; fails if one is over its budget
	@toolchains/size.sh $(TARGETS) $(addsuffix -router,$(ROUTER_TARGETS)) $(addsuffix -shared,$(SHARED_TARGETS)) $(NOTLS_TARGET)-notls

check: build build-test ## format, layers, scripts, warnings, size
	@tests/check/run.sh

pins: ## renews toolchains/pins and tests/system/*.pins with what Debian's archive has today
	@toolchains/pins.sh toolchains/pins tests/system/*.pins

install: all ## the program, INI file, manual pages, completion and what systemd takes, below DESTDIR; prefix=/usr, GNU's other folders, unitdir= without systemd
	@toolchains/stage.sh "$$(toolchains/plain.sh --wanted >/dev/null && echo plain || echo $(MACHINE))" "$(or $(DESTDIR),/)" 'config manual completion documents systemd' -DCMAKE_INSTALL_PREFIX="$(prefix)" \
	  -DCMAKE_INSTALL_SBINDIR="$(sbindir)" -DCMAKE_INSTALL_DATADIR="$(datadir)" -DCMAKE_INSTALL_MANDIR="$(mandir)" \
	  -DCMAKE_INSTALL_DOCDIR="$(docdir)" -DFLANNELETTE_UNIT_DIR="$(unitdir)"

deb: cross-$(or $(TARGET),$(MACHINE)) ## build/flannelette_VERSION_ARCHITECTURE.deb for this machine or for TARGET=NAME
	@toolchains/deb.sh $(or $(TARGET),$(MACHINE))

image: $(addprefix cross-,$(or $(TARGET),$(DEBIAN_TARGETS))) ## build/flannelette-VERSION-image.tar, a container image for those processors that a release is for, or for TARGET=NAME alone
	@toolchains/image.sh $(or $(TARGET),$(DEBIAN_TARGETS))

dist: $(addprefix cross-,$(or $(TARGET),$(DEBIAN_TARGETS))) ## build/dist, a release: the sources; a container image; for every static target or for TARGET=NAME a tar.zst, its SBOM and the Debian package; SHA256SUMS
	@toolchains/dist.sh $(or $(TARGET),$(DEBIAN_TARGETS))

clean: ## everything that was built or fetched
	rm -rf build

help:
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 22
