package ec2

import (
	"time"

	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// goneImages remembers for a while which images were deregistered, and when, by (region, owner, id).
//
// DescribeImages answers nothing, and no error, about an image that its owner deregistered lately or that an instance
// still refers to; later it is as if it never was. Other operations say that it is no longer available.
// Source: EC2 API Reference, DescribeImages; "Error codes", InvalidAMIID.Unavailable.
var goneImages = store.Table[goneImage]{Bucket: "ec2/image-gone", Version: 1}

type goneImage struct {
	At time.Time `json:"at"`
}

// How long a deregistered image is remembered, AWS says only "eventually"; and how many that are forgotten one
// deregistration clears away.
const (
	imageRemembered = time.Hour
	goneAtOnce      = 20
)

// rememberGone notes that an image was deregistered, and forgets some of those of long ago.
func rememberGone(tx store.Tx, img *imageRecord, now time.Time) error {
	var old []string
	for r, err := range goneImages.Scan(tx, img.Region, img.Owner) {
		switch {
		case err != nil:
			return err
		case now.Sub(r.Value.At) > imageRemembered && len(old) < goneAtOnce:
			old = append(old, r.Key[2])
		}
	}
	for _, id := range old {
		if err := goneImages.Delete(tx, img.Region, img.Owner, id); err != nil {
			return err
		}
	}
	return goneImages.Put(tx, goneImage{now}, img.Region, img.Owner, img.ID)
}

// errGoneImage is the error of an image that is not there, or no more.
func errGoneImage(tx store.Tx, region, account, id string, now time.Time) error {
	gone, ok, err := goneImages.Get(tx, region, account, id)
	switch {
	case err != nil:
		return err
	case ok && now.Sub(gone.At) <= imageRemembered:
		return apierr.Newf("InvalidAMIID.Unavailable", "The image id '[%s]' is no longer available", id)
	}
	return errNoImage(id)
}

// passGone passes over an image that a list was asked for and that is gone: it fails if the caller never had it.
func (s *Service) passGone(tx store.Tx, c *guard.Call, id string) error {
	_, err := s.lookupImage(tx, c, id)
	switch apierr.Code(err) {
	case "InvalidAMIID.Unavailable":
		return nil
	case "InvalidAMIID.NotFound":
		for r, err := range instanceTable.Scan(tx, c.Region, c.Account()) {
			switch {
			case err != nil:
				return err
			case r.Value.Image == id && r.Value.State != terminated:
				return nil
			}
		}
	}
	return err
}
