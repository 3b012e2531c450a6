package ec2

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/launch"
	"github.com/kagimori/kagimori/internal/store"
)

// States of a volume. Source: EC2 API Reference, Volume.
const (
	volumeCreating  = "creating"
	volumeAvailable = "available"
	volumeInUse     = "in-use"
	volumeError     = "error" // the host could not open it again
	volumeDeleting  = "deleting"
)

// States of an attachment.
const (
	plugAttaching = "attaching"
	plugAttached  = "attached"
	plugDetaching = "detaching"
)

// A volumeRecord is a volume. Its content is the file of blockdev with its id.
type volumeRecord struct {
	Region     string    `json:"region"`
	Account    string    `json:"account"`
	ID         string    `json:"id"`
	Host       string    `json:"host,omitempty"` // which has the file
	Lost       bool      `json:"lost,omitempty"` // the host is
	Zone       string    `json:"zone"`
	ZoneID     string    `json:"zoneId"`
	SizeGiB    int64     `json:"sizeGiB"`
	Type       string    `json:"type"`
	IOPS       int32     `json:"iops,omitempty"`
	Throughput int32     `json:"throughput,omitempty"`
	Snapshot   string    `json:"snapshot,omitempty"`
	Created    time.Time `json:"created"`
	State      string    `json:"state"`
	Token      string    `json:"token,omitempty"` // client token of CreateVolume

	Encrypted bool `json:"encrypted,omitempty"`
	// KeyID is the key as it was asked for; KeyARN the one that the volume has, "" until it is made.
	KeyID      string `json:"keyId,omitempty"`
	KeyARN     string `json:"keyArn,omitempty"`
	WrappedKey []byte `json:"wrappedKey,omitempty"`
	DataKeyID  string `json:"dataKeyId,omitempty"`

	Plugs        []plug `json:"plugs,omitempty"` // attachments: one, or several with Multi-Attach
	MultiAttach  bool   `json:"multiAttach,omitempty"`
	AutoIO       bool   `json:"autoIO,omitempty"`
	FastRestored bool   `json:"fastRestored,omitempty"`
	SourceVolume string `json:"sourceVolume,omitempty"` // of CopyVolumes
	InitRate     int32  `json:"initRate,omitempty"`     // VolumeInitializationRate
	// Modification is the latest one, or nil; Modified are the beginnings of those that count for the
	// limit.
	Modification *modification `json:"modification,omitempty"`
	Modified     []time.Time   `json:"modified,omitempty"`
	// Work is the operation of the volume's own that is under way, "" if there is none.
	Work launch.Operation `json:"work,omitempty"`
}

// A plug is an attachment.
type plug struct {
	Instance            string          `json:"instance"`
	Device              string          `json:"device"`
	State               string          `json:"state"`
	Since               time.Time       `json:"since"`
	DeleteOnTermination bool            `json:"deleteOnTermination,omitempty"`
	Grant               launch.GrantRef `json:"grant,omitzero"` // zero while the instance does not run
}

// plug is the attachment to an instance, or nil.
func (v *volumeRecord) plug(instance string) *plug {
	for n := range v.Plugs {
		if v.Plugs[n].Instance == instance {
			return &v.Plugs[n]
		}
	}
	return nil
}

// pull removes the attachment to an instance. Without any the volume is available.
func (v *volumeRecord) pull(instance string) {
	v.Plugs = slices.DeleteFunc(slices.Clone(v.Plugs), func(p plug) bool { return p.Instance == instance })
	if len(v.Plugs) == 0 {
		v.State = volumeAvailable
	}
}

func (v *volumeRecord) arn() string { return arn.EC2(v.Region, v.Account, "volume/"+v.ID) }

func (v *volumeRecord) key() []string { return []string{v.Region, v.Account, v.ID} }

// source describes the volume as one that exists.
func (v *volumeRecord) source() launch.Source {
	s := launch.Source{Kind: launch.Existing, Encrypted: v.Encrypted}
	if v.Encrypted {
		s.KeyARN, s.ContextID, s.DataKeyID, s.WrappedKey = v.KeyARN, v.ID, v.DataKeyID, v.WrappedKey
	}
	return s
}

// learn takes over what a launch found out about the volume's key.
func (v *volumeRecord) learn(l launch.Volume) {
	v.Encrypted, v.KeyARN, v.DataKeyID, v.WrappedKey = l.Encrypted, l.KeyARN, l.DataKeyID, l.WrappedKey
}

// volumeTable is keyed by (region, account, volume id).
var volumeTable = store.Table[volumeRecord]{Bucket: "ec2/volume", Version: 2, Upgrade: func(_ uint8, data []byte) ([]byte, error) {
	return listPlug(data)
}}

// listPlug upgrades a volume of format 1, which has one attachment at most: plug became plugs.
func listPlug(data []byte) ([]byte, error) {
	var rec map[string]json.RawMessage
	if err := json.Unmarshal(data, &rec); err != nil {
		return nil, err
	}
	if p, ok := rec["plug"]; ok {
		rec["plugs"] = append(append([]byte{'['}, p...), ']')
		delete(rec, "plug")
	}
	return json.Marshal(rec)
}

// putVolume stores a volume. One whose host is lost is in error, whatever else happens to it.
func putVolume(tx store.Tx, v volumeRecord) error {
	if v.Lost && (v.State == volumeAvailable || v.State == volumeInUse) {
		v.State = volumeError
	}
	return volumeTable.Put(tx, v, v.key()...)
}

// A volumeReader reads a volume of an account by its id; ok is false if there is none.
type volumeReader func(id string) (v volumeRecord, ok bool, err error)

func readVolumes(tx store.Tx, region, account string) volumeReader {
	return func(id string) (volumeRecord, bool, error) { return volumeTable.Get(tx, region, account, id) }
}

// readAllVolumes reads all volumes of the account at once, which for the store is one read.
func readAllVolumes(tx store.Tx, region, account string) (volumeReader, error) {
	all := map[string]volumeRecord{}
	for r, err := range volumeTable.Scan(tx, region, account) {
		if err != nil {
			return nil, err
		}
		all[r.Value.ID] = r.Value
	}
	return func(id string) (volumeRecord, bool, error) {
		v, ok := all[id]
		return v, ok, nil
	}, nil
}
