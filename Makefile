# Builds, shows, checks and installs the library. Needs gcc, make and cargo.

PREFIX ?= /usr/local
DESTDIR ?=
CARGO ?= cargo
CC ?= cc
# Where `make sdk` writes.
DIR ?= sdk

# The vendor ships the same library under a second name too. Its SONAME is libopentok.so there as well.
OTHER_NAME := vonage-client-sdk-video

VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
TARGET := $(or $(CARGO_TARGET_DIR),target)
RELEASE := $(TARGET)/release
# The demo shows what a newcomer has after the quickest build.
DEMO := $(TARGET)/debug
EXAMPLES := session signals reconnect publish subscribe custom_audio camera
EXAMPLE_FLAGS := -std=c11 -D_GNU_SOURCE -O2 -g -Wall -Wextra -Wpedantic -Werror -Iinclude

.PHONY: all demo check test films sanitize install sdk uninstall clean

all:
	$(CARGO) build --locked --release --lib --bins

# Two programs that talk, a bad token, a host of the hub that is killed, and a film that is received.
demo:
	$(CARGO) build --locked --lib --bins
	mkdir -p $(DEMO)/examples-c
	for name in $(EXAMPLES); do \
		$(CC) $(EXAMPLE_FLAGS) examples-c/$$name.c -o $(DEMO)/examples-c/$$name \
			-L$(DEMO) -lopentok -lpthread -ldl -Wl,-rpath,$(abspath $(DEMO)) || exit 1; \
	done
	cp $(DEMO)/otc $(DEMO)/examples-c/otc
	BIN=$(abspath $(DEMO))/examples-c OUT=$(abspath $(DEMO))/received sh examples-c/demo.sh

# Our own tests; no network but the loopback.
check:
	$(CARGO) test --locked

# Those, a part of them under valgrind, then the installed library, the demo, and the real peers.
test:
	tests/peers/run.sh

# The same with every film between real clients, those in a browser too: some ten minutes more.
films:
	OTC_PEERS_FILMS=all tests/peers/run.sh

# All C tests under AddressSanitizer, LeakSanitizer, valgrind and ThreadSanitizer, and the fuzz targets: an hour.
sanitize:
	tests/sanitizers/run.sh all

install: all
	install -d $(DESTDIR)$(PREFIX)/lib/pkgconfig $(DESTDIR)$(PREFIX)/lib/cmake/libopentok
	install -d $(DESTDIR)$(PREFIX)/include/opentok $(DESTDIR)$(PREFIX)/bin
	install -m 755 $(RELEASE)/libopentok.so $(DESTDIR)$(PREFIX)/lib/libopentok.so
	strip --strip-unneeded $(DESTDIR)$(PREFIX)/lib/libopentok.so
	install -m 644 $(RELEASE)/libopentok.a $(DESTDIR)$(PREFIX)/lib/libopentok.a
	strip --strip-debug $(DESTDIR)$(PREFIX)/lib/libopentok.a
	install -m 644 include/opentok.h $(DESTDIR)$(PREFIX)/include/opentok.h
	install -m 644 include/opentok/*.h $(DESTDIR)$(PREFIX)/include/opentok/
	install -m 755 $(RELEASE)/otc $(DESTDIR)$(PREFIX)/bin/otc
	strip $(DESTDIR)$(PREFIX)/bin/otc
	sed -e 's|@PREFIX@|$(abspath $(PREFIX))|' -e 's|@VERSION@|$(VERSION)|' packaging/libopentok.pc.in \
		> $(DESTDIR)$(PREFIX)/lib/pkgconfig/libopentok.pc
	cp packaging/libopentok-config.cmake.in \
		$(DESTDIR)$(PREFIX)/lib/cmake/libopentok/libopentok-config.cmake
	sed -e 's|@VERSION@|$(VERSION)|' packaging/libopentok-config-version.cmake.in \
		> $(DESTDIR)$(PREFIX)/lib/cmake/libopentok/libopentok-config-version.cmake
	ln -sf libopentok.so $(DESTDIR)$(PREFIX)/lib/lib$(OTHER_NAME).so
	ln -sf libopentok.a $(DESTDIR)$(PREFIX)/lib/lib$(OTHER_NAME).a
	ln -sf libopentok.pc $(DESTDIR)$(PREFIX)/lib/pkgconfig/lib$(OTHER_NAME).pc

# A folder as an SDK is unpacked to, for projects that take it in by add_subdirectory, or by LIBOPENTOK_PATH.
sdk:
	$(MAKE) install PREFIX=$(abspath $(DIR)) DESTDIR=
	install -m 644 packaging/CMakeLists.txt $(DIR)/CMakeLists.txt

uninstall:
	rm -f $(DESTDIR)$(PREFIX)/lib/libopentok.so $(DESTDIR)$(PREFIX)/lib/libopentok.a
	rm -f $(DESTDIR)$(PREFIX)/lib/lib$(OTHER_NAME).so $(DESTDIR)$(PREFIX)/lib/lib$(OTHER_NAME).a
	rm -f $(DESTDIR)$(PREFIX)/lib/pkgconfig/libopentok.pc $(DESTDIR)$(PREFIX)/lib/pkgconfig/lib$(OTHER_NAME).pc
	rm -f $(DESTDIR)$(PREFIX)/bin/otc
	rm -rf $(DESTDIR)$(PREFIX)/lib/cmake/libopentok $(DESTDIR)$(PREFIX)/include/opentok
	rm -f $(DESTDIR)$(PREFIX)/include/opentok.h

clean:
	$(CARGO) clean
