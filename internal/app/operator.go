package app

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/kagimori/kagimori/internal/hsm/soft"
)

// socketFile is where the operator's commands reach a running server. Who may use the data
// directory could do the same while nobody serves it, so the socket gives nothing away: only the
// server's own user, and root, may connect.
const socketFile = "operator.sock"

// sealHeader has the seal file that goes with a backup.
const sealHeader = "Kagimori-Seal"

// operatorRequest changes the seal. Seals are what package unseal parses.
type operatorRequest struct {
	Seals []string `json:"seals,omitempty"`
	Slot  int      `json:"slot,omitempty"` // from 1
	// Checkpoints are of a copy of the audit log.
	Checkpoints []json.RawMessage `json:"checkpoints,omitempty"`
}

// operator serves the socket.
type operator struct {
	server *http.Server
	folder *os.File
	done   chan struct{}
}

// serveOperator listens on the socket. A system or a file system without sockets goes without.
func (a *App) serveOperator() {
	folder, err := a.dir.Open(".")
	if err != nil {
		a.cfg.Logger.Warn("the seal cannot be changed while this server runs", "error", err)
		return
	}
	path := socketPath(folder, a.cfg.Data)
	_ = a.dir.Remove(socketFile) // of a server that was killed: the store's lock says that none runs
	var lc net.ListenConfig
	l, err := lc.Listen(context.Background(), "unix", path)
	if err == nil {
		err = a.dir.Chmod(socketFile, 0o600)
	}
	if err != nil {
		a.cfg.Logger.Warn("the seal cannot be changed while this server runs", "error", err)
		if l != nil {
			_ = l.Close()
		}
		_ = folder.Close()
		return
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /seal", a.operate(func(ctx context.Context, k *keeper, _ operatorRequest) error { return nil }))
	mux.HandleFunc("POST /seal/rotate", a.operate(func(ctx context.Context, k *keeper, in operatorRequest) error {
		locks, err := k.locks(in.Seals)
		if err != nil {
			return err
		}
		return k.rotate(ctx, "operator", locks...)
	}))
	mux.HandleFunc("POST /seal/end-sessions", a.operate(func(ctx context.Context, k *keeper, _ operatorRequest) error {
		return k.endSessions(ctx, "operator")
	}))
	mux.HandleFunc("POST /seal/add", a.operate(func(ctx context.Context, k *keeper, in operatorRequest) error {
		locks, err := k.locks(in.Seals)
		if err != nil || len(locks) != 1 {
			return errors.Join(err, errors.New("one seal is added at a time"))
		}
		return k.add(ctx, "operator", locks[0])
	}))
	mux.HandleFunc("POST /seal/remove", a.operate(func(ctx context.Context, k *keeper, in operatorRequest) error {
		locks, err := k.locks(in.Seals)
		if err != nil {
			return err
		}
		return k.remove(ctx, "operator", in.Slot-1, locks...)
	}))
	mux.HandleFunc("POST /backup", a.handleBackup)
	mux.HandleFunc("POST /trail/verify", a.handleVerify)
	mux.HandleFunc("POST /trail/signed", a.handleSigned)
	mux.HandleFunc("GET /trail/sinks", a.handleSinks)
	o := &operator{
		server: &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}, folder: folder, done: make(chan struct{}),
	}
	a.operator = o
	go func() {
		defer close(o.done)
		_ = o.server.Serve(ownListener{l}) // until it is closed
	}()
}

const operatorGrace = 10 * time.Second

func (o *operator) close() error {
	if o == nil {
		return nil
	}
	// A change that was begun is finished; a backup that takes its time is broken off.
	ctx, cancel := context.WithTimeout(context.Background(), operatorGrace)
	defer cancel()
	err := o.server.Shutdown(ctx)
	if err != nil {
		err = o.server.Close()
	}
	<-o.done
	return errors.Join(err, o.folder.Close())
}

// ownListener takes connections of the server's own user and of root alone.
type ownListener struct{ net.Listener }

// Accept closes what others open.
func (l ownListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil || ownPeer(c) {
			return c, err
		}
		_ = c.Close()
	}
}

// locks parses seals.
func (k *keeper) locks(specs []string) (out []soft.Lock, err error) {
	if len(specs) > 0 && k.cfg.ParseLock == nil {
		return nil, errors.New("this server knows no other seals")
	}
	for _, s := range specs {
		l, err := k.cfg.ParseLock(s)
		if err != nil {
			return nil, err
		}
		out = append(out, l)
	}
	if k.cfg.FIPS {
		err = checkFIPS(out)
	}
	return out, err
}

// operate does something with the keeper and answers with what is the case then.
func (a *App) operate(f func(context.Context, *keeper, operatorRequest) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s := a.current.Load()
		if s == nil {
			unavailable(w)
			return
		}
		var in operatorRequest
		if r.Method == http.MethodPost {
			if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&in); err != nil {
				problem(w, http.StatusBadRequest, "not a request")
				return
			}
		}
		// What was begun is finished, whether or not somebody waits for it.
		ctx := context.WithoutCancel(r.Context())
		if err := f(ctx, s.keeper, in); err != nil {
			problem(w, http.StatusConflict, err.Error())
			return
		}
		report, err := s.keeper.report(ctx)
		if err != nil {
			problem(w, http.StatusInternalServerError, err.Error())
			return
		}
		answer(w, http.StatusOK, report)
	}
}

func (a *App) handleBackup(w http.ResponseWriter, r *http.Request) {
	s := a.current.Load()
	if s == nil {
		unavailable(w)
		return
	}
	volumes, _ := strconv.ParseBool(r.URL.Query().Get("volumes"))
	begun := false
	err := s.keeper.backup(r.Context(), a.dir, volumes, func(seal []byte) error {
		w.Header().Set(sealHeader, base64.StdEncoding.EncodeToString(seal))
		begun = true
		return nil
	}, w)
	if err == nil {
		return
	}
	a.cfg.Logger.Error("a backup failed", "error", err)
	if begun {
		panic(http.ErrAbortHandler) // the client sees that it is not whole
	}
	problem(w, http.StatusInternalServerError, fmt.Sprint(err))
}
