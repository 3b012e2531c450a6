package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/kagimori/kagimori/internal/app"
	"github.com/kagimori/kagimori/internal/lane"
)

// serveFlags are the flags of serve.
type serveFlags struct {
	dev, devAllowRemote bool
	allowedHosts        []string
	listen, data        string
	consistency         string
	pace                string
	seal                sealFlags
	tlsCert, tlsKey     string
	auditSync           bool
	requireMlock, fips  bool
	keyCache            int
	maxGroups           int
	networks            app.NetworkQuotas
	console             bool
	logLevel            string
	network             networkFlags
	nbd                 nbdFlags
	snapshots           snapshotFlags
	load                loadFlags
	private             privateFlags
	audit               auditFlags
	settings            string
	tlsClientCA, tlsMin string
	tlsFiles            *tlsFiles
	store               storeFlags
	peerURL, peerCA     string
	drain               time.Duration
	stopWait            time.Duration
	hostPatience        time.Duration
	machine             string
	// visit, if not nil, is run against the server once it listens; the server ends with it if it
	// says so or fails.
	visit func(ctx context.Context, url string) (stay bool, err error)
}

const serveLong = `serve answers the AWS APIs on one address until it is interrupted, and shows a web console at /console there.

Without --dev it is a key service of your own. The first start needs a seal for the root key, makes a management
account, and writes the credentials of its root user once, into the file root-credentials of the data directory, which
only you may read. Later starts need the same seal. It takes addresses other than the loopback only with TLS.

With --dev it is for tests, on the loopback only: the access key id of 12 digits is the root user of that account, and
the same with ADMIN behind it is the account's user admin, which may do everything; the secret is "test" for all of
them. POST /_kagimori/reset forgets everything, POST /_kagimori/clock moves time. Volumes, instances, snapshots and groups
are where they are going to by the next request; with --dev-pace=visible that takes seconds, as clients see it at AWS.
Without --data, what a development server remembers is removed when it ends.

A data directory belongs to a development server or to a real one, never to both.`

const serveExample = `  kagimori serve --dev
  kagimori serve --dev --listen 127.0.0.1:0 --data ./.kagimori
  kagimori serve --data /var/lib/kagimori --seal passphrase-file:/etc/kagimori/passphrase
  kagimori serve --data /var/lib/kagimori --seal passphrase-file:/etc/kagimori/passphrase \
    --listen 0.0.0.0:443 --tls-cert server.pem --tls-key server.key`

// defaultData is the data directory of a server that is not told another.
const defaultData = ".kagimori"

func newServe(io stdio) *cobra.Command {
	return new(serveFlags).command(io)
}

// command is the command whose flags these are.
func (f *serveFlags) command(io stdio) *cobra.Command {
	cmd := &cobra.Command{
		Use: "serve", Short: "Serve the AWS APIs", Long: serveLong, Example: serveExample, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, err := settle(cmd.Flags(), os.LookupEnv, f.settings); err != nil {
				return err
			}
			return f.run(cmd.Context(), io)
		},
	}
	fl := cmd.Flags()
	fl.SortFlags = false
	fl.StringVar(&f.settings, "config", "", "`file` with settings, in YAML or JSON, named like these flags; flags and variables such as KAGIMORI_SERVE_LISTEN count before it")
	fl.BoolVar(&f.dev, "dev", false, "development server: known credentials, reset, a clock that moves; loopback only")
	fl.StringVar(&f.listen, "listen", "127.0.0.1:4566", "`address` to listen on; port 0 takes a free one")
	fl.StringVar(&f.data, "data", "", "data `directory` (default "+defaultData+"; with --dev a temporary one)")
	f.store.register(fl)
	fl.StringVar(&f.peerURL, "peer-url", "", "with --store, `URL` at which the other nodes reach this one (default: that of --listen)")
	fl.StringVar(&f.peerCA, "peer-ca", "", "with --store, `file` with the certificates that those of the other nodes are checked against (default: the system's)")
	spanVar(fl, &f.stopWait, "stop-wait", 20*time.Second, "how `long` a server that ends waits for snapshots that are being stored and volumes that are being filled; what takes longer is as after a crash")
	spanVar(fl, &f.hostPatience, "host-patience", 30*time.Second, "with --store, how `long` this node may be silent before its volumes are reported and its instances terminated; after half of that it drops their keys")
	spanVar(fl, &f.drain, "drain", 0, "how `long` requests are still answered, and connections closed one by one, before the server ends (with --store 2s)")
	f.seal.register(fl, " (plain-file is the default with --dev)")
	fl.BoolVar(&f.requireMlock, "require-mlock", false, "refuse to run if keys may be swapped out to disk")
	fl.BoolVar(&f.fips, "fips", false, "only approved algorithms; needs GODEBUG=fips140=on")
	numberVar(fl, &f.maxGroups, "quota-groups", 0, "most Auto Scaling `groups` of an account and Region (0: 500, as at AWS)")
	const raised = "(0: 5, as at AWS; 1000 with --dev)"
	numberVar(fl, &f.networks.VPCs, "quota-vpcs", 0, "most `VPCs`, and internet gateways, of an account and Region "+raised)
	numberVar(fl, &f.networks.Addresses, "quota-addresses", 0, "most Elastic IP `addresses` of an account and Region "+raised)
	numberVar(fl, &f.networks.NATGateways, "quota-nat-gateways", 0, "most NAT `gateways` of an account and zone "+raised)
	numberVar(fl, &f.keyCache, "key-cache", 0, "most `keys` that are kept ready: for decisions, and unwrapped in locked memory (0: 4096); each takes about 3 KB")
	fl.StringVar(&f.tlsCert, "tls-cert", "", "`file` with the certificate chain, in PEM")
	fl.StringVar(&f.tlsKey, "tls-key", "", "`file` with the certificate's key, in PEM")
	fl.StringVar(&f.tlsClientCA, "tls-client-ca", "", "`file` with certificates, in PEM: clients have to have a certificate under one of them, and sign their requests as ever")
	fl.StringVar(&f.tlsMin, "tls-min-version", "1.2", "least `version` of TLS: 1.2 or 1.3")
	fl.BoolVar(&f.console, "console", true, "serve the web console at /console; --console=false leaves it out")
	fl.BoolVar(&f.auditSync, "audit-sync", false, "have each record of the audit log on disk before the answer")
	f.audit.register(fl)
	fl.BoolVar(&f.devAllowRemote, "dev-allow-remote", false, "with --dev, listen on other addresses too, as containers need: everybody who reaches it is administrator")
	fl.StringVar(&f.consistency, "dev-consistency", "strong", "with --dev, strong, or eventual: changes of IAM are seen a few seconds later, as at AWS")
	fl.StringVar(&f.pace, "dev-pace", "instant", "with --dev, instant: what instances, volumes, snapshots and groups go through is over by the next request; or visible: it takes seconds")
	_ = cmd.RegisterFlagCompletionFunc("dev-pace", cobra.FixedCompletions([]string{"instant", "visible"}, cobra.ShellCompDirectiveNoFileComp))
	fl.StringArrayVar(&f.allowedHosts, "allowed-host", nil, "with --dev, `name` of the server in URLs beside localhost (repeatable)")
	f.network.register(cmd)
	f.nbd.register(fl)
	f.snapshots.register(fl)
	fl.StringVar(&f.machine, "machine", "host", "what runs instances: `host` opens their volumes and runs nothing, qemu boots them (needs qemu-system-x86_64; Linux),\nqemu-tcg without KVM")
	_ = cmd.RegisterFlagCompletionFunc("machine", cobra.FixedCompletions([]string{"host", "qemu", "qemu-tcg"}, cobra.ShellCompDirectiveNoFileComp))
	f.load.register(fl)
	f.private.register(fl)
	fl.StringVar(&f.logLevel, "log-level", "info", "least `level` of what is logged: debug, info, warn or error")
	return cmd
}

// run serves until ctx ends. The address is taken before the data directory is touched, so that
// neither problem leaves traces of the other.
func (f *serveFlags) run(ctx context.Context, io stdio) error {
	logger, err := f.logger(io)
	if err != nil {
		return err
	}
	if err := f.check(); err != nil {
		return err
	}
	cfg, err := f.config(logger)
	if err != nil {
		return err
	}
	tls, err := f.tls()
	if err != nil {
		return failed(err)
	}
	l, err := listen(ctx, f.listen)
	if err != nil {
		return failed(err)
	}
	defer l.Close() // again: the HTTP server closes it too
	private, err := f.private.listener(ctx)
	if err != nil {
		return err
	}
	if private != nil {
		defer private.Close()
	}
	proxy, proxyTLS, err := f.network.proxyListener(ctx, f.tlsCert, f.tlsKey)
	if err != nil {
		return err
	}
	if proxy != nil {
		defer proxy.Close()
	}
	exports, err := f.nbd.listeners(ctx, f.tlsCert, f.tlsKey)
	if err != nil {
		return err
	}
	defer closeAll(exports)
	for _, l := range exports {
		cfg.NBD = append(cfg.NBD, l.address())
	}
	if cfg.Data == "" {
		if cfg.Data, err = os.MkdirTemp("", "kagimori-"); err != nil {
			return failed(fmt.Errorf("a temporary data directory cannot be made: %w", err))
		}
		defer func() { removeAll(cfg.Data, logger) }()
	}
	if err := f.join(&cfg, l.Addr().String(), tls != nil); err != nil {
		return err
	}
	app.CollectLess()
	if err := f.private.configure(ctx, &cfg); err != nil {
		return err
	}
	defer f.private.end(logger)
	a, err := app.Open(ctx, cfg)
	if err != nil {
		return failed(err)
	}
	url := "http://" + l.Addr().String()
	if tls != nil {
		url = "https://" + l.Addr().String()
	}
	fmt.Fprintf(io.out, "kagimori listens on %s\n", url)
	logger.Info("serving", "url", url, "data", cfg.Data, "dev", f.dev)
	settled := time.AfterFunc(settleAfter, app.Settle)
	defer settled.Stop()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	visited := make(chan error, 1)
	go func() {
		stay, err := f.receive(ctx, url)
		visited <- err
		if !stay || err != nil {
			stop()
		}
	}()
	proxied := make(chan error, 1)
	go func() {
		if proxy == nil {
			proxied <- nil
			return
		}
		fmt.Fprintf(io.out, "kagimori is an external key store proxy on https://%s\n", proxy.Addr())
		proxied <- serveHTTP(ctx, proxy, proxyTLS, a.Proxy(), logger)
		stop()
	}()
	var aside sync.WaitGroup
	aside.Go(func() { f.private.serve(ctx, private, a, logger) })
	aside.Go(func() { f.watchTLS(ctx, logger) })
	defer aside.Wait()
	defer stop()
	exported := make(chan error, 1)
	leaving := f.drained(ctx, a) // volumes are used as long as requests for them are answered
	go func() { exported <- serveNBD(leaving, a, exports, stop) }()
	err = serveHTTP(leaving, limited(l, f.load.connections), tls, a.Handler(), logger)
	stop()
	err = errors.Join(err, <-proxied, <-exported)
	return failed(errors.Join(<-visited, err, a.Close()))
}

// watchTLS follows the files of the certificate until ctx ends; SIGHUP has them read at once, and does
// nothing else.
func (f *serveFlags) watchTLS(ctx context.Context, logger *slog.Logger) {
	again := make(chan os.Signal, 1)
	signal.Notify(again, syscall.SIGHUP)
	defer signal.Stop(again)
	if f.tlsFiles == nil {
		<-ctx.Done()
		return
	}
	f.tlsFiles.watch(ctx, again, logger)
}

// receive lets the visitor in, if there is one.
func (f *serveFlags) receive(ctx context.Context, url string) (stay bool, err error) {
	if f.visit == nil {
		return true, nil
	}
	return f.visit(ctx, url)
}

// join completes the configuration of a node of a cluster, once its address is known.
func (f *serveFlags) join(cfg *app.Config, address string, secure bool) (err error) {
	if cfg.Cluster == nil {
		return nil
	}
	c := cfg.Cluster
	if c.URL = f.peerURL; c.URL == "" {
		if c.URL = "http://" + address; secure {
			c.URL = "https://" + address
		}
	}
	if f.peerCA != "" {
		c.PeerTLS, err = clientTLS(f.peerCA, "", "")
	}
	return err
}

// drained is a context that ends a while after ctx, in which the server takes leave.
func (f *serveFlags) drained(ctx context.Context, a *app.App) context.Context {
	if f.drain <= 0 {
		return ctx
	}
	later, end := context.WithCancel(context.WithoutCancel(ctx))
	context.AfterFunc(ctx, func() {
		a.Drain()
		time.AfterFunc(f.drain, end)
	})
	return later
}

// config is the server's configuration; Data is empty for a temporary directory.
func (f *serveFlags) config(logger *slog.Logger) (app.Config, error) {
	cfg := app.Config{
		Data: f.data, Dev: f.dev, AllowedHosts: f.allowedHosts, Version: version(), AuditSync: f.auditSync, Logger: logger,
	}
	if cfg.Data == "" && !f.dev {
		cfg.Data = defaultData
	}
	var err error
	if cfg.Cluster, err = f.store.cluster(); err != nil {
		return cfg, err
	}
	if cfg.Cluster != nil && f.drain == 0 {
		f.drain = clusterDrain
	}
	cfg.NoConsole, cfg.Machine, cfg.StopWait = !f.console, f.machine, f.stopWait
	cfg.SnapshotFolder, cfg.HostPatience = f.snapshots.folder(), f.hostPatience
	cfg.RequireMlock, cfg.FIPS, cfg.KeyCache, cfg.ParseLock = f.requireMlock, f.fips, f.keyCache, f.seal.parse
	cfg.MaxGroups, cfg.Networks = f.maxGroups, f.networks
	if cfg.Locks, err = f.seal.locks(); err != nil {
		return cfg, err
	}
	if f.consistency == "eventual" {
		cfg.Lag = eventually
	}
	cfg.Instant = f.dev && f.pace != "visible"
	if cfg.Snapshots, err = f.snapshots.config(); err != nil {
		return cfg, err
	}
	if err := f.load.configure(&cfg); err != nil {
		return cfg, err
	}
	if err := f.audit.configure(&cfg); err != nil {
		return cfg, err
	}
	return cfg, f.network.configure(&cfg)
}

// settleAfter is how long after the start its memory is given back: not before the first requests.
const settleAfter = time.Second

// clusterDrain is how long a node of a cluster takes leave, unless it is told otherwise.
const clusterDrain = 2 * time.Second

// eventually is how long changes of IAM take to be seen with --dev-consistency=eventual.
const eventually = 3 * time.Second

func removeAll(dir string, logger *slog.Logger) {
	if err := os.RemoveAll(dir); err != nil {
		logger.Error("the temporary data directory was not removed", "directory", dir, "error", err)
	}
}

// logger logs to standard error.
func (f *serveFlags) logger(io stdio) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(f.logLevel)); err != nil {
		return nil, fmt.Errorf("--log-level %q is not debug, info, warn or error", f.logLevel)
	}
	return slog.New(slog.NewTextHandler(io.err, &slog.HandlerOptions{Level: level})), nil
}

// grace is how long requests that run may take to end once the server is told to.
const grace = 10 * time.Second

// serveHTTP answers on l until ctx ends, then lets the requests that run end.
func serveHTTP(ctx context.Context, l net.Listener, tls *tlsConfig, h http.Handler, logger *slog.Logger) error {
	std := app.HTTPServer(h, logger)
	std.TLSConfig = tls
	srv := lane.New(std)
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(l) }()
	select {
	case err := <-ended:
		return fmt.Errorf("the server ended: %w", err)
	case <-ctx.Done():
	}
	logger.Info("stopping", "address", l.Addr().String())
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if err := srv.Shutdown(end); err != nil {
		logger.Warn("requests were cut off", "error", err)
		return srv.Close()
	}
	return nil
}
