# SPDX-License-Identifier: Apache-2.0
#
# The usual ways in; what is built and how is in CMakeLists.txt.

MACHINE := $(shell uname -m)
TARGET  ?= $(MACHINE)-linux-musl
BUILD   := build/$(TARGET)
BINARY  := build/flannelette$(if $(filter $(MACHINE)-linux-musl,$(TARGET)),,-$(TARGET))
CMAKE   := cmake -G Ninja -S . --no-warn-unused-cli -DFLANNELETTE_WERROR=ON
KEEP    ?=

.PHONY: all build build-test build-asan build-clang test demo check clean help

all: build

build: ## the static, stripped binary: build/flannelette
	@toolchains/install.sh build
	@toolchains/sysroot.sh $(TARGET) build/sysroot/$(TARGET)
	@$(CMAKE) -B $(BUILD) --log-level=WARNING -DCMAKE_TOOLCHAIN_FILE=toolchains/$(TARGET).cmake \
	  -DCMAKE_INSTALL_PREFIX=/usr \
	  -DFLANNELETTE_STATIC=ON -DFLANNELETTE_NO_LIBSTDCXX=ON -DFLANNELETTE_LTO=ON
	@cmake --build $(BUILD)
	@$(TARGET:musl=gnu)-strip -s -R .comment -R .note.gnu.build-id -o $(BINARY) $(BUILD)/flannelette
	@echo "$(BINARY): $$(stat -c %s $(BINARY)) bytes"

build-test: ## build/test: program and test binaries, with glibc and symbols
	@toolchains/install.sh build test
	@$(CMAKE) -B build/test --log-level=WARNING -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS_DEBUG="-O1 -g" \
	  -DFLANNELETTE_TESTS=ON
	@cmake --build build/test

build-asan: ## build/asan: the same with address and undefined behaviour sanitizers
	@toolchains/install.sh build test
	@$(CMAKE) -B build/asan --log-level=WARNING -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS_DEBUG="-O1 -g" \
	  -DFLANNELETTE_TESTS=ON -DFLANNELETTE_SANITIZE=ON
	@cmake --build build/asan

build-clang: ## build/clang: the program compiled by clang, for its warnings
	@toolchains/install.sh build test
	@$(CMAKE) -B build/clang --log-level=WARNING -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_COMPILER=clang \
	  -DCMAKE_CXX_COMPILER=clang++
	@cmake --build build/clang

test: build build-test build-asan ## all tests and checks
	@tests/run.sh

demo: build ## three nodes and an etcd on this machine; KEEP=1 leaves them running
	@toolchains/install.sh demo
	@KEEP=$(KEEP) tests/demo.sh

check: build build-test ## format, layers, scripts, warnings, size
	@tests/check/run.sh

clean: ## everything that was built or fetched
	rm -rf build

help:
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 22
