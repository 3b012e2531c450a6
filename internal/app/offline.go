package app

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/kagimori/kagimori/internal/clock"
	"github.com/kagimori/kagimori/internal/hsm/soft"
)

// A Sealer changes the seal of a data directory: through the server that serves it, or by itself
// while none does. Close it in the end.
type Sealer struct {
	// of a running server
	client *http.Client
	folder *os.File
	// or of a directory that nobody serves
	dir    *os.Root
	module *soft.Module
	s      *server
}

// OpenSealer finds the server of the data directory, or opens the directory with the config's locks.
func OpenSealer(ctx context.Context, cfg Config) (*Sealer, error) {
	path, err := filepath.Abs(cfg.Data)
	if err != nil {
		return nil, err
	}
	cfg.Data = path
	if _, err := os.Stat(filepath.Join(path, markerFile)); err != nil {
		return nil, fmt.Errorf("%s is not a data directory of kagimori", path)
	}
	if o := dialOperator(ctx, path); o != nil {
		return o, nil
	}
	if cfg, err = cfg.checked(); err != nil {
		return nil, err
	}
	o := &Sealer{}
	if o.dir, err = os.OpenRoot(path); err != nil {
		return nil, err
	}
	if err := o.open(ctx, cfg); err != nil {
		return nil, errors.Join(err, o.Close())
	}
	return o, nil
}

// open takes the store, whose lock keeps servers and other commands out.
func (o *Sealer) open(ctx context.Context, cfg Config) error {
	served, err := hasStore(o.dir)
	if _, lerr := o.dir.Lstat(nodeFile); err == nil && !served && lerr == nil {
		return fmt.Errorf("%s is the directory of a node of a cluster, whose store and seal are in etcd: start the node, and ask again", cfg.Data)
	}
	if err != nil || !served {
		return errors.Join(err, fmt.Errorf("%s was never served: there is nothing sealed in it yet", cfg.Data))
	}
	st, err := openStore(cfg)
	if err != nil {
		return err
	}
	o.s = &server{store: fileEngine(st), shared: st, clock: clock.New()}
	if o.module, err = unseal(ctx, o.dir, cfg, true); err != nil {
		return err
	}
	if err := errors.Join(makeFolders(o.dir, cfg.Data), raiseMarker(o.dir, dataFormat)); err != nil {
		return err
	}
	if err := o.s.openTrail(cfg, o.dir, o.module); err != nil {
		return err
	}
	o.s.keeper = o.s.newKeeper(cfg, o.module)
	return o.s.keeper.locked(ctx, o.s.keeper.finish)
}

// dialOperator is nil if no server answers.
func dialOperator(ctx context.Context, path string) *Sealer {
	folder, err := os.Open(path)
	if err != nil {
		return nil
	}
	socket := socketPath(folder, path)
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket)
	}
	c, err := dial(ctx, "", "")
	if err != nil {
		_ = folder.Close()
		return nil
	}
	_ = c.Close()
	return &Sealer{folder: folder, client: &http.Client{Transport: &http.Transport{DialContext: dial}}}
}

// Close gives the directory back.
func (o *Sealer) Close() error {
	var err error
	if o.folder != nil {
		o.client.CloseIdleConnections()
		err = o.folder.Close()
	}
	if o.s != nil {
		err = errors.Join(err, o.s.close())
	}
	if o.module != nil {
		err = errors.Join(err, o.module.Close())
	}
	if o.dir != nil {
		err = errors.Join(err, o.dir.Close())
	}
	return err
}

// Status reports on the seal.
func (o *Sealer) Status(ctx context.Context) (SealReport, error) {
	if o.client != nil {
		return o.ask(ctx, http.MethodGet, "/seal", operatorRequest{})
	}
	r, err := o.s.keeper.report(ctx)
	r.Serving = false
	return r, err
}

// Rotate begins a new epoch and ends those before; with seals, they replace all that there were.
func (o *Sealer) Rotate(ctx context.Context, seals ...string) (SealReport, error) {
	if o.client != nil {
		return o.ask(ctx, http.MethodPost, "/seal/rotate", operatorRequest{Seals: seals})
	}
	locks, err := o.s.keeper.locks(seals)
	if err == nil {
		err = o.s.keeper.rotate(ctx, "operator", locks...)
	}
	return o.after(ctx, err)
}

// EndSessions makes all session tokens worthless that there are.
func (o *Sealer) EndSessions(ctx context.Context) (SealReport, error) {
	if o.client != nil {
		return o.ask(ctx, http.MethodPost, "/seal/end-sessions", operatorRequest{})
	}
	return o.after(ctx, o.s.keeper.endSessions(ctx, "operator"))
}

// Add makes another way to open the seal.
func (o *Sealer) Add(ctx context.Context, seal string) (SealReport, error) {
	if o.client != nil {
		return o.ask(ctx, http.MethodPost, "/seal/add", operatorRequest{Seals: []string{seal}})
	}
	locks, err := o.s.keeper.locks([]string{seal})
	if err == nil {
		err = o.s.keeper.add(ctx, "operator", locks[0])
	}
	return o.after(ctx, err)
}

// Remove takes a slot away, counted from 1. The others need their seals again, but for age recipients.
func (o *Sealer) Remove(ctx context.Context, slot int, seals ...string) (SealReport, error) {
	if o.client != nil {
		return o.ask(ctx, http.MethodPost, "/seal/remove", operatorRequest{Seals: seals, Slot: slot})
	}
	locks, err := o.s.keeper.locks(seals)
	if err == nil {
		err = o.s.keeper.remove(ctx, "operator", slot-1, locks...)
	}
	return o.after(ctx, err)
}

func (o *Sealer) after(ctx context.Context, err error) (SealReport, error) {
	if err != nil {
		return SealReport{}, err
	}
	return o.Status(ctx)
}

// Backup writes a backup, and gives the seal that opens it before the first byte.
func (o *Sealer) Backup(ctx context.Context, volumes bool, gotSeal func([]byte) error, out io.Writer) error {
	if o.client == nil {
		return o.s.keeper.backup(ctx, o.dir, volumes, gotSeal, out)
	}
	resp, err := o.send(ctx, http.MethodPost, fmt.Sprintf("/backup?volumes=%t", volumes), operatorRequest{})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	seal, err := base64.StdEncoding.DecodeString(resp.Header.Get(sealHeader))
	if err != nil || len(seal) == 0 {
		return errors.New("the server gave no seal with its backup")
	}
	if err := gotSeal(seal); err != nil {
		return err
	}
	if _, err := io.Copy(out, resp.Body); err != nil {
		return fmt.Errorf("the server broke the backup off: %w", err)
	}
	return nil
}

func (o *Sealer) ask(ctx context.Context, method, path string, in operatorRequest) (SealReport, error) {
	resp, err := o.send(ctx, method, path, in)
	if err != nil {
		return SealReport{}, err
	}
	defer resp.Body.Close()
	var out SealReport
	return out, json.NewDecoder(resp.Body).Decode(&out)
}

func (o *Sealer) send(ctx context.Context, method, path string, in operatorRequest) (*http.Response, error) {
	body, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://operator"+path, strings.NewReader(string(body)))
	if err != nil {
		return nil, err
	}
	resp, err := o.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("the server of the data directory does not answer: %w", err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close()
	var p struct {
		Message string `json:"message"`
		Error   string `json:"error"`
	}
	_ = json.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(&p)
	if p.Message == "" {
		p.Message = p.Error
	}
	return nil, errors.New(p.Message)
}

// Served reports whether a server answers for a data directory.
func Served(ctx context.Context, data string) bool {
	path, err := filepath.Abs(data)
	if err != nil {
		return false
	}
	o := dialOperator(ctx, path)
	return o != nil && o.Close() == nil
}
