package main

// A measure is a unit of a benchmark, and how its values are written: times scale, with a suffix.
type measure struct {
	unit   string
	scale  float64 // 0 is 1
	suffix string
}

func us(unit string) measure     { return measure{unit, 0, " µs"} }
func ms(unit string) measure     { return measure{unit, 0, " ms"} }
func ns(unit string) measure     { return measure{unit, 0, " ns"} }
func mb(unit string) measure     { return measure{unit, 0, " MB"} }
func speed(unit string) measure  { return measure{unit, 0, " MB/s"} }
func persec(unit string) measure { return measure{unit, 0, "/s"} }

// A target is what is wanted of a row's ratio, or of its figure where it has no ratio.
type target struct {
	most bool
	than float64
	unit string
}

func atLeast(v float64, unit string) *target { return &target{false, v, unit} }
func atMost(v float64, unit string) *target  { return &target{true, v, unit} }

func (t *target) met(v float64) bool { return t.most && v <= t.than || !t.most && v >= t.than }

// A row is a figure with its limit.
type row struct {
	what   string
	bench  string
	figure measure
	limit  measure // the zero value if there is none
	ratio  string  // its unit, "" if there is none
	want   *target // nil if the row only tells
}

// A section is a table of the page.
type section struct {
	title string
	text  string
	rows  []row
	kept  bool // from the run that is kept beside the page
}

// perCPU are the rows of BenchmarkPerCPU for a kind of server.
func perCPU(name, role string, want *target) (rows []row) {
	for _, op := range []string{"GenerateDataKey", "Encrypt4KB", "Decrypt"} {
		rows = append(rows,
			row{op + name, "PerCPU/" + role + "/" + op, us("cpu-us/op"), us("bare-us/op"), "of-bare", want},
			row{op + name + ", of our own HTTP", "PerCPU/" + role + "/" + op, us("cpu-us/op"), us("lane-us/op"), "of-lane", nil})
	}
	return rows
}

func sections() []section {
	return []section{
		{title: "Requests", text: "Processor time of the server for one request over HTTP with its signature, full authorization and the audit log, at 32 connections. The limit is a handler behind net/http that verifies the signature of the same request, reads it and answers as much; " +
			"`of our own HTTP` is the same handler behind internal/lane (docs/design/009-http.md). The ratio is the limit's time by ours: the part of the bare handler's requests that a second of processor time serves.",
			rows: append(append(perCPU("", "server", atLeast(0.8, "")), perCPU(" with `--audit-sync`", "server_with_--audit-sync", nil)...),
				row{"IAM's GetRole", "IAM/GetRole", measure{"ns/op", 1e-3, " µs"}, measure{"limit-ns/op", 1e-3, " µs"}, "x-limit", atMost(1.5, "")},
				row{"STS's AssumeRole", "IAM/AssumeRole", measure{"ns/op", 1e-3, " µs"}, measure{"limit-ns/op", 1e-3, " µs"}, "x-limit", atMost(1.5, "")})},
		{title: "Signatures", text: "Sign over HTTP, in processor time, and Go's own function together with the rest of a request (a GenerateDataKey). The ratio is ours by theirs.",
			rows: []row{
				{"RSA 2048, PKCS #1", "Signing/RSASSA_PKCS1_V1_5_SHA_256", us("cpu-us/op"), us("limit-us/op"), "of-go", atMost(1.1, "")},
				{"RSA 2048, PSS", "Signing/RSASSA_PSS_SHA_256", us("cpu-us/op"), us("limit-us/op"), "of-go", atMost(1.1, "")},
				{"ECDSA, P-256", "Signing/ECDSA_SHA_256", us("cpu-us/op"), us("limit-us/op"), "of-go", atMost(1.1, "")},
			}},
		{title: "Decisions", text: "The typical KMS decision, beside the same question in Cedar (bench/doc.go says what is the same), and beside itself with much that cannot match. The shortest of many batches, in turns.",
			rows: []row{
				{"typical decision, beside cedar-go", "Authorize/kagimori", ns("best-ns"), ns("cedar-ns"), "x-cedar", atLeast(10, "")},
				{"the same with the reasons that a record names", "Authorize/kagimori-with-reasons", ns("best-ns"), ns("cedar-ns"), "x-cedar", nil},
				{"typical decision", "Typical", ns("best-ns"), measure{}, "", atMost(400, " ns")},
				{"with 200 statements more", "Typical", ns("best-ns"), measure{}, "x-200-statements", atMost(1.2, "")},
				{"with 50,000 grants of others", "Typical", ns("best-ns"), measure{}, "x-50000-grants", atMost(1.2, "")},
				{"by one of 50,000 grants", "Typical", ns("best-ns"), measure{}, "x-by-1-of-50000-grants", atMost(1.2, "")},
				{"explained", "Typical", ns("best-ns"), measure{}, "x-explained", atMost(20, "")},
				{"a key policy of 32 KB is compiled", "Compile/new", ms("best-ms"), measure{}, "", atMost(1, " ms")},
			}},
		{title: "Sectors", text: "4 KiB of a volume in processor time of one thread, beside `openssl speed` for AES-256-XTS; the best of three, in turns. NBD is beside nbdkit with a file in the clear, by wall-clock time, the best of five.",
			rows: []row{
				{"AES-NI with VAES", "BesideOpenSSL/VAES", speed("MB/s"), speed("openssl-MB/s"), "ratio", atLeast(0.8, "")},
				{"AES-NI", "BesideOpenSSL/AES-NI", speed("MB/s"), speed("openssl-MB/s"), "ratio", atLeast(0.8, "")},
				{"plain Go", "BesideOpenSSL/portable", speed("MB/s"), speed("openssl-MB/s"), "ratio", nil},
				{"written over NBD, beside nbdkit with a plain file", "BesideNBDKit", speed("write-MB/s"), speed("write-nbdkit-MB/s"), "write-ratio", atLeast(0.5, "")},
				{"read over NBD", "BesideNBDKit", speed("read-MB/s"), speed("read-nbdkit-MB/s"), "read-ratio", atLeast(0.5, "")},
				{"a snapshot of changes reads of what changed", "SnapshotOfChanges", measure{"read/changed", 0, ""}, measure{}, "", atMost(1.05, "")},
				{"a snapshot of 1 GiB in 100 GiB, by 1 GiB in 1 GiB", "SparseVolume", measure{"sparse/dense", 0, ""}, measure{}, "", atMost(1.5, "")},
			}},
		{title: "Commits", text: "Changes, on disk when they are answered. A bare commit is bbolt's own, one after another; the store's are as many as callers ask for at once, gathered into commits (docs/design). CreateGrant is at 32 connections, and so is the store alone beside it, in turns on one disk. IAM's are by one caller, beside a bare commit and a request to the bare handler.",
			rows: []row{
				{"CreateGrant, beside transactions of 400 bytes", "Commits", persec("grants/s"), persec("raw/s"), "of-raw", atLeast(0.7, "")},
				{"CreateGrant, beside transactions with as much as a grant", "Commits", persec("grants/s"), persec("same/s"), "of-same", nil},
				{"CreateGrant, processor time", "Commits", us("cpu-us/op"), us("raw-us/op"), "", nil},
				{"updates of the store, one caller, in a bare commit's time", "Update/goroutines=1", measure{"ns/op", 1e-3, " µs"}, measure{"raw-ns/commit", 1e-3, " µs"}, "x-raw", nil},
				{"updates of the store, 64 callers, in a bare commit's time", "Update/goroutines=64", measure{"ns/op", 1e-3, " µs"}, measure{"raw-ns/commit", 1e-3, " µs"}, "x-raw", nil},
				{"updates over etcd, 32 callers, beside etcd's own transactions", "Commits over etcd", persec("store/s"), persec("raw/s"), "of-raw", nil},
				{"IAM's CreateUser", "IAM/CreateUser", measure{"ns/op", 1e-3, " µs"}, measure{"limit-ns/op", 1e-3, " µs"}, "x-limit", atMost(1.5, "")},
				{"IAM's PutRolePolicy", "IAM/PutRolePolicy", measure{"ns/op", 1e-3, " µs"}, measure{"limit-ns/op", 1e-3, " µs"}, "x-limit", atMost(1.5, "")},
			}},
		{title: "Several nodes", text: "Processor time of the servers for one request (docs/reliability.md): a node over etcd, and three, beside a server with a file. If a request costs 1.2 times as much on three nodes, three nodes on processors of their own serve 2.5 times what one server does. Three that are asked at once share this machine's processors, and each is a third as busy: Go's scheduler then costs more for each request. One after the other, each is as busy as a server that is alone, as on processors of its own, and the others do what they do for it: that is what the target is for.",
			rows: []row{
				{"DescribeKey, one node", "Nodes", us("one-node-us/DescribeKey"), us("file-us/DescribeKey"), "one-node-ratio/DescribeKey", nil},
				{"DescribeKey, three nodes at once", "Nodes", us("three-nodes-us/DescribeKey"), us("file-us/DescribeKey"), "three-nodes-ratio/DescribeKey", nil},
				{"DescribeKey, three nodes, one after the other", "Nodes", us("three-nodes-singly-us/DescribeKey"), us("file-us/DescribeKey"), "three-nodes-singly-ratio/DescribeKey", atMost(1.2, "")},
				{"Encrypt, one node", "Nodes", us("one-node-us/Encrypt"), us("file-us/Encrypt"), "one-node-ratio/Encrypt", nil},
				{"Encrypt, three nodes at once", "Nodes", us("three-nodes-us/Encrypt"), us("file-us/Encrypt"), "three-nodes-ratio/Encrypt", nil},
				{"Encrypt, three nodes, one after the other", "Nodes", us("three-nodes-singly-us/Encrypt"), us("file-us/Encrypt"), "three-nodes-singly-ratio/Encrypt", atMost(1.2, "")},
			}},
		{title: "Start and rest", text: "The program on an empty data directory, from the start of its process to the answer to a signed request, whose record is in the log; the program goes before others on the processors if that is allowed (root), and waits for the disk with them. A first start waits for it 17 times: each file and folder is there for good before the next one relies on it.",
			rows: []row{
				{"start to first answer, beside a program that is nothing but net/http; median", "Start", ms("first-ms"), ms("bare-ms"), "", atMost(100, " ms")},
				{"the shortest", "Start", ms("best-ms"), measure{}, "", nil},
				{"processor time of that", "Start", ms("cpu-ms"), measure{}, "", nil},
				{"resident memory at rest", "Start", mb("idle-MB"), measure{}, "", atMost(40, " MB")},
				{"of that no file's", "Start", mb("anon-MB"), measure{}, "", nil},
			}},
	}
}
