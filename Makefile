# Targets: build, demo, test, lint, fmt, bench, fuzz, install-servers. See CONTRIBUTING.md.
.PHONY: build demo test test-quick lint fmt bench fuzz install-servers clean

GO ?= go

build:
	$(GO) build -trimpath -o bin/whimbrel ./cmd/whimbrel

# The whole story on SQLite files that it makes itself; nothing but Go is needed.
demo: build
	bin/whimbrel demo

# Every suite, with a line each and a summary at the end. Servers that are missing are installed first.
test: install-servers
	scripts/test.sh

# What needs no whole move: the packages' own tests.
test-quick: install-servers
	scripts/test.sh units

install-servers:
	scripts/install-servers.sh

lint: bin/golangci-lint
	bin/golangci-lint run ./...

fmt: bin/golangci-lint
	bin/golangci-lint fmt ./...

bin/golangci-lint: tools/go.mod tools/go.sum
	$(GO) -C tools build -o ../bin/golangci-lint github.com/golangci/golangci-lint/v2/cmd/golangci-lint

# Whimbrel beside the raw pipe of the same servers, in the same run.
bench: build
	$(GO) test -run NONE -bench . -benchtime 1x -timeout 60m ./bench

# Each fuzz target for FUZZTIME (20s).
fuzz:
	scripts/fuzz.sh

clean:
	rm -rf bin
