package hosts

import (
	"time"

	"github.com/kagimori/kagimori/internal/store"
)

// Local is the name of the host in a process that was given none.
const Local = "local"

// A Record is a host that was there once.
type Record struct {
	Name    string    `json:"name"`
	Since   time.Time `json:"since"`
	Started time.Time `json:"started"` // the last time

	// The rest is of hosts of a cluster, which say again and again that they are there.
	Beat     int64         `json:"beat,omitempty"` // counts the signs of life
	Life     string        `json:"life,omitempty"` // another one after the host lost its keys
	URL      string        `json:"url,omitempty"`  // of its node
	Shelf    string        `json:"shelf,omitempty"`
	Patience time.Duration `json:"patience,omitempty"` // how long it may be silent
	Leaving  bool          `json:"leaving,omitempty"`  // it will be back
	Lost     time.Time     `json:"lost,omitzero"`      // when it was given up, until it is there again
	Skill    int           `json:"skill,omitempty"`    // what its node's version can do; see Skill
	Boots    bool          `json:"boots,omitempty"`    // instances have machines there
}

// Skill is that of this version's nodes: since 1 they know of volumes with Multi-Attach that are on another
// host than an instance.
const Skill = 1

// Table is keyed by the host's name.
var Table = store.Table[Record]{Bucket: "ec2/host", Version: 1}

// LeavingPatience is how many times longer a host is waited for that said that it will be back.
const LeavingPatience = 10
