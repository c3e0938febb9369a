# The front door: make, make run, make test, make test-long. Everything else is Meson's.
.PHONY: all deps run test test-long install clean format
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)

all: deps build/build.ninja
	@ninja -C build $(if $(V),-v,--quiet)

deps:
	@tools/install-deps
	@tools/get-rocksdb >/dev/null

build/build.ninja: | deps
	@meson setup build --buildtype=debugoptimized -Dtests=false >/dev/null

build-dev/build.ninja: | deps
	@meson setup build-dev --native-file native/dev.ini >/dev/null

# The lab, a validator at its tip, and what to look at next.
run: all
	@$(SUDO) tools/first-light build/agavectl

test: all build-dev/build.ninja
	@ninja -C build-dev $(if $(V),-v,--quiet)
	@tools/run-tests build-dev

test-long: all build-dev/build.ninja
	@ninja -C build-dev --quiet
	@tools/run-tests build-dev --long

install: all
	@$(SUDO) meson install -C build

format:
	@git ls-files '*.c' '*.h' | xargs clang-format-14 -i

clean:
	@rm -rf build build-*
