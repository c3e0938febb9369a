# The front door: make, make run, make test, make test-long. Everything else is Meson's.
.PHONY: all deps run test test-long cluster strict install clean format

me := $(shell id -u)
SUDO := $(if $(filter 0,$(me)),,sudo)
# `sudo make …` in somebody's own checkout builds as that user: no file of root's is left in the way.
owner := $(if $(filter 0,$(me)),$(filter $(SUDO_UID),$(filter-out 0,$(shell stat -c %u .))))
hash := \#
AS := $(if $(owner),sudo -H -u '$(hash)$(owner)')
build = $(AS) tools/build $(if $(V),-v) $(1)

all: deps
	@$(call build,build) --buildtype=debugoptimized -Dtests=false

deps:
	@tools/install-deps
	@$(AS) tools/get-rocksdb --try

# The lab, a validator at its tip, and what to look at next.
run: all
	@$(SUDO) tools/first-light build/agavectl

# Warnings are errors, with AddressSanitizer and UndefinedBehaviorSanitizer: what the tests run.
strict: all
	@$(call build,build-dev) --native-file native/dev.ini

# Docker and qemu are not put on a developer's machine for a test; on CI's they are, and a node for kind is made there.
cluster: strict
	@[ -z "$$CI" ] || { tools/install-deps --cluster && tests/cluster/make-node; } || \
		echo 'tests with Docker or Kubernetes are left out'
	@[ -z "$$CI" ] || tools/install-deps --zfs || echo 'tests with a real ZFS pool are left out'
	@[ -z "$$CI" ] || { tools/install-deps --vm && tests/vm/make-vm >/dev/null && tests/vm/make-disk >/dev/null; } || \
		echo 'tests with a virtual machine or a systemd of their own are left out'

test: cluster
	@tools/run-tests build-dev

test-long: cluster
	@[ -z "$$CI" ] || tests/vm/make-zfs >/dev/null || echo 'the test with a real zvol is left out'
	@tools/run-tests build-dev --long

install: all
	@$(SUDO) meson install -C build

format:
	@git ls-files '*.c' '*.h' | xargs clang-format-14 -i

clean:
	@rm -rf build build-*
