package sink

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/kagimori/kagimori/internal/trail"
)

// cursorFormat is the version of cursors.
const cursorFormat = 1

// A cursor is what a sink has delivered, as its file NAME.json says.
type cursor struct {
	Version int         `json:"version"`
	Place   trail.Place `json:"place"`
	// Settled is when all that had been appended was delivered.
	Settled time.Time `json:"settled"`
}

func readCursor(dir *os.Root, name string) (c cursor, found bool, err error) {
	data, err := dir.ReadFile(name + ".json")
	if errors.Is(err, fs.ErrNotExist) {
		return c, false, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &c)
	}
	if err == nil && (c.Version != cursorFormat || c.Place.Segment < 0 || c.Place.Offset < 0) {
		err = fmt.Errorf("version %d", c.Version)
	}
	if err != nil {
		return c, false, fmt.Errorf("what the sink %s has delivered cannot be read from %s.json: %w", name, name, err)
	}
	return c, true, nil
}

// writeCursor leaves the old one or the new one, whatever happens.
func writeCursor(dir *os.Root, name string, c cursor) error {
	c.Version = cursorFormat
	data, err := json.Marshal(c)
	if err != nil {
		return err
	}
	temp := name + ".json.new"
	f, err := dir.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(data, '\n'))
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return dir.Rename(temp, name+".json")
}
