# make run    builds, serves a development server on ./.kagimori, plays the tour, keeps serving
# make test   everything: lint, unit tests with the race detector, end-to-end tests with the AWS SDK
# make cli    both examples with the real aws command line (fails without it)
# make terraform  both examples with Terraform (fails without it); KAGIMORI_TF_PLUGINS names a folder with the provider
# make qemu   QEMU boots a small image of Debian's packages from an encrypted root volume (fails without qemu, syslinux, mtools)
# make nbd    clients of others (libnbd, QEMU, fio) on exported volumes, and the speed beside nbdkit (fails without them)
# make pkcs11  the seal by a PKCS#11 token, with SoftHSM (fails without it)
# make openssl  what KMS makes and takes, compared with the openssl command
# make tools  SOPS, sigstore's provider for AWS KMS and the AWS Encryption SDK for JavaScript against the endpoint (needs npm)
# make e2e-etcd  the end-to-end tests with every server's store in etcd
# make etcd   the store on real etcd members, with the race detector
# make partition  three etcd members and three nodes are cut off, paused, killed and slowed for PARTITION, in network namespaces (as root, Linux); checkers read what clients saw, and notice servers broken on purpose
# make rolling  three nodes with hosts, of the version before, are replaced one after the other while they serve: PREVIOUS names its commit
# make bench-nodes  what a read costs one server with a file, one node over etcd, and three
# make bench-more  the other benchmarks
# make bench-million  GenerateDataKey on a million keys beside 100, for the next docs/performance.md
# make console  builds the web console into internal/console/dist and checks its types (needs Node; nothing else does)
# make check-console  fails unless what is committed there is what console/ builds
# make console-e2e  the console in headless Chromium against a real server (fails without Node and Chromium)
# make bench  benchmarks, each beside its limit in the same run: writes docs/performance.md
# make faults  kills, power cuts, full, slow and failing disks, clocks that jump and damaged files, in their full forms (Linux)
# make soak   a server under all the load that it takes for SOAKTIME, and more; long runs of SOAKTIME each: crashes, many groups, days of Auto Scaling in random worlds (their seeds are printed), a crash at every commit
# make hostile  what an adversary would try against a whole server: every operation's refusals, odd texts in every member, 10,000 connections
# make fuzz   the engine against its oracle in ORACLE_CASES requests, the server against the doctor in WORLDS worlds, then each fuzz target for FUZZTIME
# make format-fixture  a data directory of the present format, with something of everything in it: OUT names the archive
# make reproducible  fails unless two builds in different folders are the same bytes
# make sbom   the bill of materials in CycloneDX's form (modules, Go's library, npm packages of the console) into bin/kagimori.cdx.json, checked against its schema
# make deploy-check  manifests decoded strictly into Kubernetes' types, the unit read by systemd-analyze (fails without it)
# make image-check  builds the image of deploy/Dockerfile with buildah, on stand-ins for its base images, and runs it with crun (as root, Linux)
# make systemd  installs the unit as docs/operations.md says, on a systemd in namespaces, uses, kills and stops it (as root, Linux)
# make generate  internal/api from the service models in MODELS

GO       ?= go
MODELS   ?= ../shared/models
LISTEN   ?= 127.0.0.1:4566
DATA     ?= .kagimori
FUZZTIME ?= 30s
SOAKTIME ?= 1h
FAULTS   ?= 100
MILLION  ?= 1000000
MILLION_DIR ?= .kagimori-million

ORACLE_CASES ?= 5000000
WORLDS       ?= 5000

STATICCHECK = $(GO) tool -modfile=tools/go.mod staticcheck

.PHONY: reproducible sbom console check-console console-e2e check-node all check-cc build run test lint unit e2e cli terraform openssl tools pkcs11 bench bench-million soak etcd e2e-etcd fuzz generate check-generated check-go clean

all: build

check-go:
	@command -v $(GO) >/dev/null || { echo "Go 1.26 or later is needed: https://go.dev/doc/install"; exit 1; }

# The race detector needs a C compiler.
check-cc:
	@command -v $$($(GO) env CC) >/dev/null || { echo "a C compiler is needed for the race detector: apt-get install gcc libc6-dev"; exit 1; }

# Without the tables of debuggers and linkers, a quarter of the size; panics and profiles have theirs.
STRIPPED = -ldflags='-s -w'

build: check-go
	$(GO) build -trimpath $(STRIPPED) -o bin/kagimori ./cmd/kagimori

run: build
	./bin/kagimori tour --keep --listen $(LISTEN) --data $(DATA)

test: lint unit e2e

# gofmt, go vet, staticcheck, go fix and the generated code. Budget: 8 minutes cold.
lint: check-go check-generated
	@bad=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$bad" ] || { echo "gofmt would change:"; echo "$$bad"; exit 1; }
	$(GO) vet ./... && cd bench && $(GO) vet ./... && cd ../e2e/etcdtest && $(GO) vet ./... && cd ../s3test && $(GO) vet ./...
	@out=$$($(GO) fix -diff ./... 2>&1); [ -z "$$out" ] || { echo "$$out"; echo "run: go fix ./..."; exit 1; }
	$(STATICCHECK) ./...

# The models stay outside the repository; where they are, the generated code must match them.
check-generated:
	@if [ -d $(MODELS) ]; then $(GO) run ./internal/apigen -models $(MODELS) -check; else $(GO) run ./internal/apigen -check; fi

generate: check-go
	$(GO) run ./internal/apigen -models $(MODELS)
	$(GO) run -modfile=tools/go.mod internal/blockdev/crypt/xts_asm.go -out internal/blockdev/crypt/xts_amd64.s -stubs internal/blockdev/crypt/xts_amd64.go -pkg crypt

# Budget: 12 minutes cold.
unit: check-go check-cc
	$(GO) test -race -timeout 20m ./...
	$(GO) test ./internal/authz # all requests of the comparison with its oracle
	cd bench && $(GO) test ./...
	cd e2e/etcdtest && $(GO) test -timeout 10m ./...
	cd e2e/s3test && $(GO) test -timeout 10m ./... # builds a server of the S3 API, from the module proxy

# The server under test is built with the race detector, the official SDK without. Budget: 20 minutes cold.
e2e: check-go check-cc
	$(GO) build -race -o bin/kagimori-race ./cmd/kagimori
	cd e2e && KAGIMORI_BIN=$(CURDIR)/bin/kagimori-race $(GO) test -count=1 -timeout 20m $$($(GO) list ./... | grep -v -e /cli -e /terraform -e /openssl -e /tools -e /nbd -e /qemu -e /systemd -e /image)

# The same tests with every server's store in etcd: one member, in memory of the tests' machine.
e2e-etcd: check-go check-cc
	$(GO) build -race -o bin/kagimori-race ./cmd/kagimori
	cd e2e/etcdtest && $(GO) build -o $(CURDIR)/bin/etcd-member ./member
	cd e2e && KAGIMORI_BIN=$(CURDIR)/bin/kagimori-race $(CURDIR)/bin/etcd-member -n 1 $(GO) test -count=1 -timeout 40m .

# The last commit before what nodes say to each other changed.
PREVIOUS ?= 80ca266

# The short form, with nodes of this version that begin in the earlier format, is part of make e2e.
.PHONY: rolling
rolling: check-go check-cc
	@git cat-file -e '$(PREVIOUS)^{commit}' 2>/dev/null || { echo "the repository's history with $(PREVIOUS) is needed: git fetch --unshallow, or PREVIOUS=COMMIT"; exit 1; }
	rm -rf bin/previous && mkdir -p bin/previous && git archive $(PREVIOUS) | tar -x -C bin/previous
	cd bin/previous && $(GO) build -race -o $(CURDIR)/bin/kagimori-previous ./cmd/kagimori
	rm -rf bin/previous
	$(GO) build -race -o bin/kagimori-race ./cmd/kagimori
	cd e2e && KAGIMORI_BIN=$(CURDIR)/bin/kagimori-race KAGIMORI_PREVIOUS=$(CURDIR)/bin/kagimori-previous $(GO) test -count=1 -timeout 20m -v -run '^TestRollingUpgradeOfHosts$$' .

PARTITION ?= 10m

# The short form, on proxies instead of namespaces, is part of make test.
.PHONY: partition
partition: check-go check-cc
	@command -v ip >/dev/null && command -v nsenter >/dev/null || { echo "ip and nsenter are needed: apt-get install iproute2 util-linux"; exit 1; }
	@unshare --net true || { echo "network namespaces cannot be made here: run it as root (sudo make partition), in Docker with --privileged or --cap-add SYS_ADMIN --cap-add NET_ADMIN"; exit 1; }
	$(GO) build -race -o bin/kagimori-race ./cmd/kagimori
	cd e2e/etcdtest && $(GO) build -o $(CURDIR)/bin/etcd-member ./member && $(GO) test -c -o $(CURDIR)/bin/partition.test ./partition
	cd e2e/etcdtest/partition && KAGIMORI_BIN=$(CURDIR)/bin/kagimori-race KAGIMORI_MEMBER=$(CURDIR)/bin/etcd-member unshare --net $(CURDIR)/bin/partition.test -test.v -test.count=1 -test.timeout 0 -test.run '^(TestLong|TestBroken)$$' -partition.time=$(PARTITION)

# What a read costs one node, and three, in processors' time.
.PHONY: bench-nodes
bench-nodes: check-go
	cd e2e/etcdtest && $(GO) test -run '^$$$$' -bench Nodes -benchtime 1x -count=1 -timeout 20m ./partition

etcd: check-go check-cc
	cd e2e/etcdtest && $(GO) test -race -count=1 -timeout 15m ./...

cli: build
	@command -v aws >/dev/null || { echo "the AWS command line is needed: https://docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html"; exit 1; }
	cd e2e && KAGIMORI_BIN=$(CURDIR)/bin/kagimori $(GO) test -count=1 -timeout 10m ./cli

terraform: build
	@command -v terraform >/dev/null || { echo "Terraform is needed: https://developer.hashicorp.com/terraform/install"; exit 1; }
	cd e2e && KAGIMORI_BIN=$(CURDIR)/bin/kagimori $(GO) test -count=1 -timeout 40m ./terraform

openssl: build
	@command -v openssl >/dev/null || { echo "openssl is needed: apt-get install openssl"; exit 1; }
	cd e2e && KAGIMORI_BIN=$(CURDIR)/bin/kagimori $(GO) test -count=1 -timeout 10m ./openssl

# SOPS comes through the Go module proxy, the AWS Encryption SDK for JavaScript from npm.
tools: build
	@command -v npm >/dev/null || { echo "Node.js with npm is needed: https://nodejs.org"; exit 1; }
	cd e2e/tools/sops && $(GO) build -trimpath -o $(CURDIR)/bin/sops github.com/getsops/sops/v3/cmd/sops
	cd e2e/tools/sigstore && $(GO) vet . && $(GO) build -trimpath -o $(CURDIR)/bin/sigstore .
	cd e2e/tools/encryptionsdk && npm ci --no-audit --no-fund
	cd e2e && KAGIMORI_BIN=$(CURDIR)/bin/kagimori KAGIMORI_SOPS=$(CURDIR)/bin/sops KAGIMORI_SIGSTORE=$(CURDIR)/bin/sigstore KAGIMORI_ENCRYPTION_SDK=$(CURDIR)/e2e/tools/encryptionsdk $(GO) test -count=1 ./tools

# libnbd's, QEMU's and others' clients on exported volumes, and the speed beside nbdkit's.
nbd: build
	@for tool in nbdinfo nbdcopy qemu-io qemu-img nbdkit fio; do command -v $$tool >/dev/null || { echo "$$tool is needed: apt-get install libnbd-bin qemu-utils nbdkit fio"; exit 1; }; done
	cd e2e && KAGIMORI_BIN=$(CURDIR)/bin/kagimori $(GO) test -count=1 -timeout 15m -bench . -benchtime 1x ./nbd

pkcs11: check-go check-cc build
	@command -v softhsm2-util >/dev/null || { echo "SoftHSM is needed: apt-get install softhsm2"; exit 1; }
	cd pkcs11 && $(GO) vet . && $(GO) build -trimpath -o ../bin/kagimori-pkcs11 .
	cd pkcs11 && KAGIMORI_BIN=$(CURDIR)/bin/kagimori KAGIMORI_PKCS11=$(CURDIR)/bin/kagimori-pkcs11 $(GO) test -count=1 .

check-node:
	@command -v npm >/dev/null || { echo "Node 20.19 or later with npm is needed: apt-get install nodejs npm, or https://nodejs.org/en/download"; exit 1; }
	@node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 19) ? 0 : 1)' || { echo "Node 20.19 or later is needed, not $$(node --version): https://nodejs.org/en/download"; exit 1; }
	@[ console/node_modules/.package-lock.json -nt console/package-lock.json ] || (cd console && npm ci --ignore-scripts --no-audit --no-fund)

console: check-node
	cd console && npx tsc --noEmit && node build.mjs

check-console: check-node
	cd console && npx tsc --noEmit && node build.mjs --check

CHROMIUM ?= chromium

console-e2e: check-node build
	@command -v $(CHROMIUM) >/dev/null || { echo "Chromium is needed: apt-get install chromium"; exit 1; }
	cd console && KAGIMORI_BIN=$(CURDIR)/bin/kagimori CHROMIUM=$$(command -v $(CHROMIUM)) node --test --test-concurrency=1 e2e/

# Writes docs/performance.md, in 25 minutes at most.
bench: check-go
	cd bench && $(GO) vet ./... && $(GO) run ./report -root ..

# The benchmarks that have no row there: of parts, and of 1,000 groups of ten instances.
.PHONY: bench-more
bench-more: check-go
	$(GO) test -run '^$$' -bench '^Benchmark(LaunchOfMany|GroupsReachCapacity)$$' -benchtime 1x -timeout 60m ./internal/bench
	$(GO) test -run '^$$' -bench '^Benchmark(KMS|Handler)$$' -benchmem ./internal/bench
	$(GO) test -run '^$$' -bench . -benchmem -timeout 30m ./internal/authz/... ./internal/casefile ./internal/store/bolt ./internal/doctor ./internal/tfplan ./internal/blockdev/...

# Makes MILLION keys the first time, in MILLION_DIR, which takes some minutes and 15 GB, and keeps them.
bench-million: check-go
	@mkdir -p bin
	KAGIMORI_BENCH_KEYS=$(MILLION) KAGIMORI_BENCH_KEEP=$(abspath $(MILLION_DIR)) $(GO) test -run '^$$' -bench '^BenchmarkKeys$$' -benchtime 100000x -timeout 0 ./internal/bench >bin/million.txt
	cd bench && $(GO) run ./report -root .. -million ../docs/performance/million.txt <../bin/million.txt

soak: check-go build
	cd e2e && KAGIMORI_BIN=$(CURDIR)/bin/kagimori SOAKTIME=$(SOAKTIME) $(GO) test -count=1 -timeout 0 -v ./soak
	SOAKTIME=$(SOAKTIME) $(GO) test -race -run Soak -count=1 -timeout 0 ./internal/app
	SOAKTIME=$(SOAKTIME) $(GO) test -run 'TestSimulatedDays|TestKilled' -count=1 -timeout 0 ./internal/autoscaling

# What the tests of e2e/faults do a few times in `make e2e` is done here as often as their full form says, or FAULTS hundredths of that.
.PHONY: faults
faults: check-go check-cc build
	$(GO) test -race -count=1 -timeout 20m ./internal/store/bolt ./internal/trail ./internal/hsm/soft ./internal/blockdev
	$(GO) test -race -count=1 -timeout 20m -run 'ClockJump|ClockSet' ./internal/app
	cd e2e && KAGIMORI_BIN=$(CURDIR)/bin/kagimori KAGIMORI_FAULTS=$(FAULTS) $(GO) test -count=1 -timeout 3h -v ./faults
	$(GO) build -race -o bin/kagimori-race ./cmd/kagimori
	cd e2e && KAGIMORI_BIN=$(CURDIR)/bin/kagimori-race $(GO) test -count=1 -timeout 60m -run TestKill9 .

fuzz: check-go
	ORACLE_CASES=$(ORACLE_CASES) $(GO) test -run '^TestEnginesAgree$$' -count=1 -timeout 0 ./internal/authz
	KAGIMORI_WORLDS=$(WORLDS) $(GO) test -run '^TestServerAndDoctorAgreeOnRandomWorlds$$' -count=1 -timeout 0 ./internal/scenario
	@for pkg in $$(grep -rl --include=*_test.go 'func Fuzz' internal | xargs -n1 dirname | sort -u); do \
		for f in $$(grep -ho 'func Fuzz[A-Za-z0-9_]*' $$pkg/*_test.go | cut -d' ' -f2); do \
			echo "$$pkg $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 5s ./$$pkg || exit 1; \
		done; \
	done

# The short form is a part of make test.
.PHONY: hostile
hostile: check-go
	HOSTILE=1 $(GO) test -count=1 -timeout 60m ./internal/hostile

clean:
	rm -rf bin

# QEMU boots an image that is made of Debian's packages; mkimage.sh says which one is missing. KERNEL_DEB may name
# the package of a kernel.
.PHONY: qemu
qemu: build
	@command -v qemu-system-x86_64 >/dev/null || { echo "qemu-system-x86_64 is needed: apt-get install qemu-system-x86 syslinux syslinux-common mtools dosfstools cpio busybox-static"; exit 1; }
	cd e2e && KAGIMORI_BIN=$(CURDIR)/bin/kagimori $(GO) test -count=1 -timeout 15m ./qemu

# The second build is of a copy elsewhere: nothing of the folder's name may be in the program.
reproducible: check-go
	@copy=$$(mktemp -d) && trap 'rm -rf "$$copy"' EXIT && git ls-files -z | xargs -0 cp --parents -t "$$copy" && \
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false $(STRIPPED) -o bin/kagimori.1 ./cmd/kagimori && \
	(cd "$$copy" && CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false $(STRIPPED) -o kagimori.2 ./cmd/kagimori) && \
	cmp bin/kagimori.1 "$$copy/kagimori.2" && sha256sum bin/kagimori.1

VERSION ?=

sbom: check-go
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false $(STRIPPED) -o bin/kagimori ./cmd/kagimori
	$(GO) tool -modfile=tools/go.mod cyclonedx-gomod bin -json -std -noserial -notimestamp $(if $(VERSION),-version $(VERSION)) -output bin/modules.cdx.json bin/kagimori
	cd e2e/tools/sbom && $(GO) vet . && $(GO) test . && $(GO) run . -in $(CURDIR)/bin/modules.cdx.json -lock $(CURDIR)/console/package-lock.json -schema "$$($(GO) list -m -f '{{.Dir}}' github.com/CycloneDX/cyclonedx-go)/schema" -out $(CURDIR)/bin/kagimori.cdx.json
	rm bin/modules.cdx.json

.PHONY: deploy-check
deploy-check: build
	@command -v systemd-analyze >/dev/null || { echo "systemd-analyze is needed: apt-get install systemd"; exit 1; }
	cd e2e/deploytest && $(GO) vet . && KAGIMORI_BIN=$(CURDIR)/bin/kagimori $(GO) test -count=1 .

# The unit on a systemd of its own, in namespaces, installed by the commands of docs/operations.md.
.PHONY: systemd
systemd: build
	@for tool in systemctl unshare nsenter ip; do command -v $$tool >/dev/null || { echo "$$tool is needed: apt-get install systemd util-linux iproute2"; exit 1; }; done
	@unshare --mount --pid --net --cgroup --fork true || { echo "namespaces cannot be made here: run it as root (sudo make systemd)"; exit 1; }
	cd e2e && KAGIMORI_BIN=$(CURDIR)/bin/kagimori $(GO) test -count=1 -timeout 10m ./systemd

# The image of deploy/Dockerfile, built and run without an engine and a registry (docs/operations.md says what that proves).
.PHONY: image-check
image-check: check-go
	@for tool in buildah crun unshare busybox; do command -v $$tool >/dev/null || { echo "$$tool is needed: apt-get install buildah crun util-linux busybox-static"; exit 1; }; done
	@unshare --mount true || { echo "namespaces cannot be made here: run it as root (sudo make image-check)"; exit 1; }
	cd e2e && $(GO) test -count=1 -timeout 30m ./image

# Of the format that a change is about to replace, by the last program that writes it.
.PHONY: format-fixture
format-fixture: build
	@[ -n "$(OUT)" ] || { echo "OUT is missing: make format-fixture OUT=e2e/formats/testdata/formatN.tar.gz"; exit 1; }
	cd e2e && KAGIMORI_BIN=$(CURDIR)/bin/kagimori $(GO) run ./formats -out $(abspath $(OUT))
