# Targets: build, demo, example-shop, test, lint, fmt, bench, bench-compare, bench-peers, model, chaos, chaos-power, soak, fuzz, install-servers. See CONTRIBUTING.md.
.PHONY: build demo example-shop test test-quick lint fmt bench bench-compare bench-peers model chaos chaos-power soak fuzz install-servers clean

GO ?= go

build:
	$(GO) build -trimpath -o bin/whimbrel ./cmd/whimbrel

# The whole story on SQLite files that it makes itself; nothing but Go is needed.
demo: build
	bin/whimbrel demo

# A shop moves to its new release and to another database while its users go on (examples/shop/README.md); MariaDB and PostgreSQL
# are installed where they are missing, and started for it alone.
example-shop: install-servers
	$(GO) test -count=1 -v -timeout 10m -run 'TestExampleShop$$' ./internal/e2e

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

# Whimbrel beside the plainest pipelines and beside other tools: one table with a verdict for each work. bench/bench_test.go says
# what can be chosen, such as BENCH_CASES="load/*" BENCH_ROUNDS=3 BENCH_SCALE=0.1.
bench: build
	$(GO) -C bench/yardstick build -o ../../bin/yardstick .
	$(GO) test -run NONE -bench Table -benchtime 1x -timeout 12h ./bench

# What each run of the benchmark in BENCH_RESULTS came to, run beside run.
bench-compare:
	@$(GO) test -run NONE -bench Compare -benchtime 1x ./bench | grep '^|'

# The other tools, where the system has packages of them. What is missing is a line "not installed" in the table.
bench-peers:
	scripts/bench-peers.sh

# The model of the protocol: as it is it must hold, without one of its rules it must be refuted (docs/model.md).
model:
	model/run.sh

# Whole moves through real servers with the network, the servers, the disks, the clocks and the program itself failing at random:
# make chaos ROUNDS=100 SEED=7 PAIRS=mariadb/pg,pg/pg BREAKS=2 MINUTES=60. Run it as root: it mounts small disks to fill them (docs/reliability.md).
chaos: install-servers
	CHAOS_ROUNDS=$(or $(ROUNDS),50) CHAOS_SEED=$(SEED) CHAOS_PAIRS=$(PAIRS) CHAOS_BREAKS=$(BREAKS) CHAOS_FOR=$(or $(MINUTES),600)m CHAOS_WORDS=1 \
	$(GO) test -count=1 -v -timeout 24h -run 'TestChaos$$' ./internal/e2e

# The same with machines that lose their power: what nobody has had written to a disk by then is gone. make chaos-power ROUNDS=20 SEED=7
chaos-power: install-servers
	CHAOS_POWER=$(or $(ROUNDS),20) CHAOS_SEED=$(SEED) CHAOS_PAIRS=$(PAIRS) CHAOS_BREAKS=$(BREAKS) CHAOS_FOR=$(or $(MINUTES),600)m CHAOS_WORDS=1 \
	$(GO) test -count=1 -v -timeout 24h -run 'TestChaosPower$$' ./internal/e2e

# So many schedules of the simulation, from SEED on (docs/reliability.md). One that fails is shrunk and kept in
# internal/simulation/testdata.
SCHEDULES ?= 100000
SEED ?= $(shell date +%s)
soak:
	$(GO) test -count=1 -v -timeout 0 -run '^TestSchedules$$' ./internal/simulation -schedules $(SCHEDULES) -seed $(SEED)

# Each fuzz target for FUZZTIME (20s).
fuzz:
	scripts/fuzz.sh

clean:
	rm -rf bin
