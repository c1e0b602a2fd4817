# SPDX-License-Identifier: BSD-2-Clause
# Copyright (C) The Fairlead authors
#
# What people type. The builds themselves are CMake's: build/release (-O2, tests), build/asan (sanitizers, tests), build/lto (install
# and bench), build/train (counts, for build/lto), build/fuzz (clang, libFuzzer). JOBS=n sets how many compilers run at once,
# TEST_JOBS=n how many tests (one more).
SHELL := /bin/sh
JOBS ?= $(shell nproc)
PYTHON ?= /usr/bin/python3
DESTDIR ?=
SECONDS ?= 60
# Most tests wait more than they compute.
TEST_JOBS ?= $(shell expr $(JOBS) + 1)

-include build/config.mk

ifndef prefix
ifeq ($(filter clean help format,$(or $(MAKECMDGOALS),build)),)
$(error run ./configure first (./configure --deps installs what the build needs))
endif
endif

cmake := cmake -G Ninja -S . -DCMAKE_BUILD_TYPE=Release
configured := build/config.cmake CMakeLists.txt
sanitized := $(if $(sanitize),-DFAIRLEAD_SANITIZE=$(sanitize),)

.PHONY: build run test check asan bench soak fuzz install uninstall clean format lint help release-tests asan-tests train lto
.DEFAULT_GOAL := build

help:
	@echo 'make            build/release/fairlead'
	@echo 'make run        build it and serve conf/demo.conf on 127.0.0.1:8080 in the foreground'
	@echo 'make test       the whole suite over the -O2 build and over the sanitizer build'
	@echo 'make check      the fast tests only'
	@echo 'make asan       the whole suite over the sanitizer build only'
	@echo 'make bench      micro benchmarks, and macro benchmarks against nginx and haproxy with their limits'
	@echo 'make soak       ten minutes of load, over plain proxying and over Lua: memory must stay bounded (SECONDS=300 of each)'
	@echo 'make fuzz TARGET=uri [SECONDS=60]'
	@echo 'make install    binary, configuration (never overwritten), manual; DESTDIR is honoured'
	@echo 'make uninstall  what install put there and nobody changed'
	@echo 'make clean format lint'

# -- builds

build/release/build.ninja: $(configured)
	@$(cmake) -B build/release -DFAIRLEAD_TESTS=ON $(sanitized) >build/release.log 2>&1 || { cat build/release.log; exit 1; }

build/asan/build.ninja: $(configured)
	@$(cmake) -B build/asan -DFAIRLEAD_TESTS=ON -DCMAKE_BUILD_TYPE=Dev -DFAIRLEAD_SANITIZE=address,undefined >build/asan.log 2>&1 \
	  || { cat build/asan.log; exit 1; }

# Unless configured --without-profile (or with a sanitizer), install and bench get a build that is compiled for what t/bench/train.py does
# to one that counts. Where that cannot run, build/profile stays empty, and they get one without.
trained := $(if $(sanitize),,$(filter yes,$(profile)))

build/lto/build.ninja: $(configured)
	@$(cmake) -B build/lto -DFAIRLEAD_LTO=ON -DFAIRLEAD_PROFILE=$(if $(trained),use) $(sanitized) >build/lto.log 2>&1 \
	  || { cat build/lto.log; exit 1; }

build/train/build.ninja: $(configured)
	@$(cmake) -B build/train -DFAIRLEAD_PROFILE=generate >build/train.log 2>&1 || { cat build/train.log; exit 1; }

train: build/train/build.ninja
	@ninja -C build/train -j$(JOBS) fairlead
	@[ build/profile/made -nt build/train/fairlead ] || { rm -rf build/profile && mkdir build/profile && \
	  { $(PYTHON) -B t/bench/train.py build/train/fairlead \
	  || { rm -rf build/profile/*; echo 'no training here: built without a profile'; }; } && \
	  { [ ! -e build/lto/build.ninja ] || ninja -C build/lto -t clean >/dev/null; } && touch build/profile/made; }

lto: build/lto/build.ninja $(if $(trained),train)
	@ninja -C build/lto -j$(JOBS) fairlead

build/fuzz/build.ninja: $(configured)
	@$(cmake) -B build/fuzz -DFAIRLEAD_TESTS=ON -DFAIRLEAD_FUZZ=ON -DCMAKE_CXX_COMPILER=clang++ -DCMAKE_C_COMPILER=clang >build/fuzz.log 2>&1 \
	  || { cat build/fuzz.log; exit 1; }

build: build/release/build.ninja
	@ninja -C build/release -j$(JOBS) fairlead

release-tests: build/release/build.ninja
	@ninja -C build/release -j$(JOBS) all_tests

asan-tests: build/asan/build.ninja
	@ninja -C build/asan -j$(JOBS) all_tests

# -- tests

# One ctest over both builds, so that its summary is the summary of all.
test: release-tests asan-tests
	@mkdir -p build/suite
	@printf 'subdirs("%s" "%s")\n' $(CURDIR)/build/release $(CURDIR)/build/asan >build/suite/CTestTestfile.cmake
	@ctest --test-dir build/suite --output-on-failure -j$(TEST_JOBS)

check: release-tests
	@ctest --test-dir build/release --output-on-failure -j$(TEST_JOBS) -L fast

asan: asan-tests
	@ctest --test-dir build/asan --output-on-failure -j$(TEST_JOBS)

bench: lto
	@ninja -C build/release -j$(JOBS) micro_benches floor
	@for b in build/release/t/bench_*; do [ -x $$b ] && $$b --benchmark_min_time=0.2; done; true
	@$(PYTHON) t/bench/macro/run.py --binary build/lto/fairlead --floor build/release/t/floor

bench: build/release/build.ninja

soak: SECONDS = 300
soak: build
	@$(PYTHON) -B t/bench/soak.py --binary build/release/fairlead --seconds $(SECONDS)

fuzz: build/fuzz/build.ninja
	@[ -n "$(TARGET)" ] || { echo 'make fuzz TARGET=one of:' $(patsubst t/fuzz/%_fuzz.cc,%,$(wildcard t/fuzz/*_fuzz.cc)); exit 1; }
	@ninja -C build/fuzz -j$(JOBS) $(TARGET)_fuzz
	@mkdir -p build/fuzz/found/$(TARGET)
	build/fuzz/t/$(TARGET)_fuzz -max_total_time=$(SECONDS) build/fuzz/found/$(TARGET) $(wildcard t/fuzz/corpus/$(TARGET))

# -- the demo

run: build
	@for port in $$(sed -n 's/^ *listen 127\.0\.0\.1:\([0-9]*\);.*/\1/p' conf/demo.conf); do \
	  curl -s -o /dev/null --max-time 2 http://127.0.0.1:$$port/; \
	  [ $$? -eq 7 ] || { \
	    echo "make run: port $$port of 127.0.0.1 is busy: end the process that holds it (ss -ltnp shows it), or edit conf/demo.conf"; \
	    exit 1; }; done
	@mkdir -p build/run/logs
	@sed -n 's/^# try: /  /p' conf/demo.conf
	@echo 'fairlead serves conf/demo.conf on http://127.0.0.1:8080 (Ctrl-C ends it; logs in build/run/logs)'
	@build/release/fairlead -p $(CURDIR)/build/run/ -c $(CURDIR)/conf/demo.conf -g 'daemon off;'

# -- install

conf_dir := $(dir $(conf_path))
tables := mime.types fastcgi_params fastcgi.conf scgi_params uwsgi_params
man_dir := $(prefix)/share/man
share_dir := $(prefix)/share/fairlead

install: lto
	install -d $(DESTDIR)$(dir $(sbin_path)) $(DESTDIR)$(conf_dir) $(DESTDIR)$(share_dir)/lua $(DESTDIR)$(prefix)/html
	@for d in $(error_log_path) $(http_log_path) $(pid_path); do \
	  case $$d in /*) install -d "$(DESTDIR)$$(dirname $$d)" ;; esac; done
	@# A running binary is replaced by rename, never written into: USR2 must find the old one whole.
	install -m 755 -s build/lto/fairlead $(DESTDIR)$(sbin_path).new
	mv -f $(DESTDIR)$(sbin_path).new $(DESTDIR)$(sbin_path)
	@for f in $(tables); do \
	  install -m 644 conf/$$f $(DESTDIR)$(conf_dir)$$f.default; \
	  [ -e $(DESTDIR)$(conf_dir)$$f ] || install -m 644 conf/$$f $(DESTDIR)$(conf_dir)$$f; done
	install -m 644 conf/fairlead.conf $(DESTDIR)$(conf_path).default
	@[ -e $(DESTDIR)$(conf_path) ] || install -m 644 conf/fairlead.conf $(DESTDIR)$(conf_path)
	@[ -e $(DESTDIR)$(prefix)/html/index.html ] || install -m 644 conf/dist/index.html $(DESTDIR)$(prefix)/html/index.html
	@for f in fairlead.service fairlead.logrotate; do \
	  sed -e 's|@SBIN@|$(sbin_path)|g' -e 's|@PID@|$(pid_path)|g' -e 's|@CONF@|$(conf_path)|g' -e 's|@USER@|$(user)|g' \
	    -e 's|@LOGS@|$(dir $(error_log_path))|g' conf/dist/$$f >$(DESTDIR)$(share_dir)/$$f; done
	install -m 644 conf/lua/*.lua conf/lua/README.md $(DESTDIR)$(share_dir)/lua
	@for page in $(wildcard man/*.[1-8]); do \
	  section=$${page##*.}; install -d $(DESTDIR)$(man_dir)/man$$section; \
	  install -m 644 $$page $(DESTDIR)$(man_dir)/man$$section/; done
	@echo 'installed: $(DESTDIR)$(sbin_path), $(DESTDIR)$(conf_path); unit, logrotate file and policies in Lua in $(DESTDIR)$(share_dir)'

# Configuration that was changed since stays, and so do logs.
uninstall:
	rm -f $(DESTDIR)$(sbin_path)
	@for f in $(tables) $(notdir $(conf_path)); do \
	  if cmp -s $(DESTDIR)$(conf_dir)$$f $(DESTDIR)$(conf_dir)$$f.default; then rm -f $(DESTDIR)$(conf_dir)$$f; \
	  elif [ -e $(DESTDIR)$(conf_dir)$$f ]; then echo 'kept, it was changed: $(DESTDIR)$(conf_dir)'$$f; fi; \
	  rm -f $(DESTDIR)$(conf_dir)$$f.default; done
	@if cmp -s conf/dist/index.html $(DESTDIR)$(prefix)/html/index.html; then rm -f $(DESTDIR)$(prefix)/html/index.html; fi
	rm -rf $(DESTDIR)$(share_dir)
	@for page in $(wildcard man/*.[1-8]); do rm -f $(DESTDIR)$(man_dir)/man$${page##*.}/$$(basename $$page); done
	@rmdir -p $(DESTDIR)$(conf_dir) $(DESTDIR)$(dir $(sbin_path)) $(DESTDIR)$(prefix)/html $(DESTDIR)$(man_dir)/man* 2>/dev/null || true

# -- the rest

clean:
	rm -rf build config.status

sources = $(shell git ls-files 'src/*.h' 'src/*.cc' 'modules/*.h' 'modules/*.cc' 't/*.h' 't/*.cc')

format:
	clang-format -i $(sources)

lint: build/release/build.ninja
	@$(PYTHON) -B t/tidy/tidy.py --build build/release
	clang-tidy --quiet -p build/release $(filter src/%.cc modules/%.cc,$(sources))
