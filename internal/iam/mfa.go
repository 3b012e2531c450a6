package iam

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"net/url"
	"slices"
	"strings"
	"time"

	"rsc.io/qr"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
	"github.com/kagimori/kagimori/internal/totp"
)

// device is a virtual MFA device.
type device struct {
	Sealed  []byte    `json:"sealed"` // the seed
	User    string    `json:"user,omitempty"`
	UserID  string    `json:"userId,omitempty"` // whose it is; the root user's is its account's
	Enabled time.Time `json:"enabled,omitzero"`
	Step    int64     `json:"step,omitempty"` // of the last code that was taken
}

var devices = shelf[device]{
	table: store.Table[kept[device]]{Bucket: "iam/mfa", Version: 1}, noun: "mfa", trail: "AWS::IAM::VirtualMFADevice",
	missing: func(k *kept[device]) error {
		return noDevice(arn.Make("iam", "", k.Account, "mfa"+k.Path+k.Name))
	},
}

const (
	maxDevices = 8 // of a user. Source: IAM User Guide, "IAM and AWS STS quotas".
	seedSize   = 20
)

// maxSerial is how long a serial number may be, and so the ARN that is that of a virtual device.
// Source: IAM API Reference, EnableMFADevice.
const maxSerial = 256

func serial(k *kept[device]) string { return devices.arn(k) }

func noDevice(serial string) error {
	return noSuchEntity("VirtualMFADevice with serial number %s doesn't exist.", serial)
}

func seedAAD(k *kept[device]) []byte { return []byte("mfa " + k.Account + " " + k.ID) }

func (s *Service) deviceBySerial(serial *string) (*kept[device], error) {
	k := devices.byARN(api.Val(serial))
	if k == nil {
		return nil, noDevice(api.Val(serial))
	}
	k.Name = k.Name[strings.LastIndexByte(k.Name, '/')+1:]
	return k, nil
}

// CreateVirtualMFADevice makes a device that belongs to nobody yet. Its seed is shown this once.
// Source: IAM API Reference, CreateVirtualMFADevice.
func (s *Service) CreateVirtualMFADevice(ctx context.Context, c *guard.Call, in *iamapi.CreateVirtualMFADeviceRequest) (*iamapi.CreateVirtualMFADeviceResponse, error) {
	seed := make([]byte, seedSize)
	rand.Read(seed) // never fails
	text := base32.StdEncoding.EncodeToString(seed)
	var out *iamapi.CreateVirtualMFADeviceResponse
	err := s.g.Update(ctx, c, func(tx store.Tx) error {
		k := devices.named(c, api.Val(in.VirtualMFADeviceName))
		k.Path, k.ID, k.Created = pathOf(in.Path), directory.NewID("MFAD"), s.now()
		if over := len(serial(k)) - maxSerial; over > 0 {
			return apierr.Newf("ValidationError", "1 validation error detected: Value '%s' at 'virtualMFADeviceName' failed to satisfy constraint: Member must have length less than or equal to %d", k.Name, max(1, len(k.Name)-over))
		}
		k.Body.Sealed = s.secrets.Seal(seed, seedAAD(k))
		taken := apierr.New(codeExists, "MFADevice entity at the same path and name already exists.")
		if err := devices.create(s, tx, c, k, in.Tags, "TagMFADevice", taken); err != nil {
			return err
		}
		uri := "otpauth://totp/" + url.PathEscape("Amazon Web Services:"+k.Name+"@"+k.Account) + "?secret=" + text + "&issuer=Amazon%20Web%20Services"
		code, err := qr.Encode(uri, qr.M)
		if err != nil {
			return err
		}
		out = &iamapi.CreateVirtualMFADeviceResponse{VirtualMFADevice: &iamapi.VirtualMFADevice{
			SerialNumber: new(serial(k)), Base32StringSeed: []byte(text), QRCodePNG: code.PNG(), Tags: apiTags(k.Tags),
		}}
		c.Respond(out)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// DeleteVirtualMFADevice removes a device that nobody has.
func (s *Service) DeleteVirtualMFADevice(ctx context.Context, c *guard.Call, in *iamapi.DeleteVirtualMFADeviceRequest) error {
	k, err := s.deviceBySerial(in.SerialNumber)
	if err != nil {
		return err
	}
	return devices.remove(ctx, s, c, k, func(k *kept[device]) error {
		if k.Body.UserID != "" {
			return apierr.New(codeConflict, "Cannot delete entity, must deactivate MFA device first.")
		}
		return nil
	})
}

// ListVirtualMFADevices lists the account's devices without their seeds.
func (s *Service) ListVirtualMFADevices(ctx context.Context, c *guard.Call, in *iamapi.ListVirtualMFADevicesRequest) (*iamapi.ListVirtualMFADevicesResponse, error) {
	status := api.Val(in.AssignmentStatus)
	pg, err := s.page(c, status, in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	out := &iamapi.ListVirtualMFADevicesResponse{}
	err = s.g.View(ctx, c, func(tx store.Tx) error {
		if err := s.allowList(tx, c, "mfa", ""); err != nil {
			return err
		}
		all, err := devices.all(tx, c.Account())
		if err != nil {
			return err
		}
		all = slices.DeleteFunc(all, func(k kept[device]) bool {
			assigned := k.Body.UserID != ""
			return status == iamapi.AssignmentStatusTypeAssigned && !assigned || status == iamapi.AssignmentStatusTypeUnassigned && assigned
		})
		users := map[string]*iamapi.User{}
		for r, err := range s.dir.Users(tx, c.Account(), "") {
			if err != nil {
				return err
			}
			u := apiUser(&r.Value)
			u.PermissionsBoundary, u.Tags = nil, nil
			users[r.Value.ID] = u
		}
		out.VirtualMFADevices = []iamapi.VirtualMFADevice{}
		shown, last := cut(pg, all, func(k kept[device]) string { return fold(k.Name) })
		for _, k := range shown {
			d := iamapi.VirtualMFADevice{SerialNumber: new(serial(&k)), User: users[k.Body.UserID]}
			if k.Body.UserID != "" {
				d.EnableDate = &k.Body.Enabled
			}
			out.VirtualMFADevices = append(out.VirtualMFADevices, d)
		}
		out.IsTruncated, out.Marker = s.end(pg, last)
		return nil
	})
	return out, err
}

// EnableMFADevice gives a virtual device to a user, who proves to have it with two codes that follow
// one another. Source: IAM API Reference, EnableMFADevice.
func (s *Service) EnableMFADevice(ctx context.Context, c *guard.Call, in *iamapi.EnableMFADeviceRequest) error {
	return s.changeOwned(ctx, c, in.UserName, func(tx store.Tx, o owner, b *belongings) error {
		k, err := s.deviceOf(tx, o, in.SerialNumber)
		if err != nil {
			return err
		}
		switch {
		case k.Body.UserID != "":
			return apierr.New(codeExists, "MFA Device is already in use.")
		case len(b.MFA) >= maxDevices:
			return exceeded("Cannot exceed quota for MFADevicesPerUser: %d", maxDevices)
		}
		if err := s.prove(k, api.Val(in.AuthenticationCode1), api.Val(in.AuthenticationCode2)); err != nil {
			return err
		}
		k.Body.User, k.Body.UserID, k.Body.Enabled = o.name, o.key()[1], s.now()
		b.MFA = append(b.MFA, k.Name)
		return devices.put(tx, k)
	})
}

// deviceOf reads a device of an account.
func (s *Service) deviceOf(tx store.Tx, o owner, serialNumber *string) (*kept[device], error) {
	k, err := s.deviceBySerial(serialNumber)
	if err != nil {
		return nil, err
	}
	found, ok, err := devices.table.Get(tx, o.account, fold(k.Name))
	if err == nil && (!ok || k.Account != o.account || serial(&found) != api.Val(serialNumber)) {
		err = noDevice(api.Val(serialNumber))
	}
	return &found, err
}

// prove takes two codes of a device.
func (s *Service) prove(k *kept[device], first, second string) error {
	seed, err := s.secrets.Open(k.Body.Sealed, seedAAD(k))
	if err != nil {
		return err
	}
	step, ok := totp.Pair(seed, first, second, s.wall())
	if !ok {
		return apierr.New("InvalidAuthenticationCode", "Authentication code for device is not valid.")
	}
	k.Body.Step = step
	return nil
}

// ResyncMFADevice takes two codes of a user's device.
func (s *Service) ResyncMFADevice(ctx context.Context, c *guard.Call, in *iamapi.ResyncMFADeviceRequest) error {
	return s.changeOwned(ctx, c, in.UserName, func(tx store.Tx, o owner, b *belongings) error {
		k, err := s.deviceOf(tx, o, in.SerialNumber)
		if err != nil {
			return err
		}
		if !slices.Contains(b.MFA, k.Name) {
			return noDevice(api.Val(in.SerialNumber))
		}
		if err := s.prove(k, api.Val(in.AuthenticationCode1), api.Val(in.AuthenticationCode2)); err != nil {
			return err
		}
		return devices.put(tx, k)
	})
}

// DeactivateMFADevice takes a device from a user, or from the caller.
func (s *Service) DeactivateMFADevice(ctx context.Context, c *guard.Call, in *iamapi.DeactivateMFADeviceRequest) error {
	return s.changeOwned(ctx, c, in.UserName, func(tx store.Tx, o owner, b *belongings) error {
		k, err := s.deviceOf(tx, o, in.SerialNumber)
		if err != nil {
			return err
		}
		i := slices.Index(b.MFA, k.Name)
		if i < 0 {
			return noDevice(api.Val(in.SerialNumber))
		}
		b.MFA = slices.Delete(b.MFA, i, i+1)
		k.Body.User, k.Body.UserID, k.Body.Enabled, k.Body.Step = "", "", time.Time{}, 0
		return devices.put(tx, k)
	})
}

// GetMFADevice describes a device of a user, or of the caller.
func (s *Service) GetMFADevice(ctx context.Context, c *guard.Call, in *iamapi.GetMFADeviceRequest) (*iamapi.GetMFADeviceResponse, error) {
	var out *iamapi.GetMFADeviceResponse
	err := s.g.View(ctx, c, func(tx store.Tx) error {
		user, err := s.deviceUser(tx, c, in)
		if err != nil {
			return err
		}
		o, b, err := s.owned(tx, c, user)
		if err != nil {
			return err
		}
		k, err := s.deviceOf(tx, o, in.SerialNumber)
		if err != nil {
			return err
		}
		if !slices.Contains(b.MFA, k.Name) {
			return noDevice(api.Val(in.SerialNumber))
		}
		out = &iamapi.GetMFADeviceResponse{UserName: api.Opt(o.name), SerialNumber: in.SerialNumber, EnableDate: &k.Body.Enabled}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// deviceUser is the user that a request names, else the one who has the device, else nil.
func (s *Service) deviceUser(tx store.Tx, c *guard.Call, in *iamapi.GetMFADeviceRequest) (*string, error) {
	if in.UserName != nil {
		return in.UserName, nil
	}
	k, err := s.deviceOf(tx, owner{account: c.Account()}, in.SerialNumber)
	switch {
	case apierr.Code(err) == codeNoSuchEntity:
		return nil, nil
	case err != nil:
		return nil, err
	}
	return api.Opt(k.Body.User), nil
}

// ListMFADevices lists the devices of a user, or of the caller.
func (s *Service) ListMFADevices(ctx context.Context, c *guard.Call, in *iamapi.ListMFADevicesRequest) (*iamapi.ListMFADevicesResponse, error) {
	out := &iamapi.ListMFADevicesResponse{}
	err := s.g.View(ctx, c, func(tx store.Tx) error {
		o, b, err := s.owned(tx, c, in.UserName)
		if err != nil {
			return err
		}
		out.MFADevices = []iamapi.MFADevice{}
		shown, truncated, next, err := pageOwned(s, c, o, b.MFA, func(n string) string { return n }, in.Marker, in.MaxItems)
		if err != nil {
			return err
		}
		for _, name := range shown {
			k, _, err := devices.table.Get(tx, o.account, fold(name))
			if err != nil {
				return err
			}
			out.MFADevices = append(out.MFADevices, iamapi.MFADevice{UserName: &o.name, SerialNumber: new(serial(&k)), EnableDate: &k.Body.Enabled})
		}
		out.IsTruncated, out.Marker = truncated, next
		return nil
	})
	return out, err
}

// TagMFADevice adds tags or replaces their values.
func (s *Service) TagMFADevice(ctx context.Context, c *guard.Call, in *iamapi.TagMFADeviceRequest) error {
	k, err := s.deviceBySerial(in.SerialNumber)
	if err != nil {
		return err
	}
	return devices.tag(ctx, s, c, k, in.Tags)
}

// UntagMFADevice removes tags; unknown ones are no error.
func (s *Service) UntagMFADevice(ctx context.Context, c *guard.Call, in *iamapi.UntagMFADeviceRequest) error {
	k, err := s.deviceBySerial(in.SerialNumber)
	if err != nil {
		return err
	}
	return devices.untag(ctx, s, c, k, in.TagKeys)
}

// ListMFADeviceTags lists a device's tags.
func (s *Service) ListMFADeviceTags(ctx context.Context, c *guard.Call, in *iamapi.ListMFADeviceTagsRequest) (*iamapi.ListMFADeviceTagsResponse, error) {
	k, err := s.deviceBySerial(in.SerialNumber)
	if err != nil {
		return nil, err
	}
	var out iamapi.ListMFADeviceTagsResponse
	out.Tags, out.IsTruncated, out.Marker, err = devices.listTags(ctx, s, c, k, in.Marker, in.MaxItems)
	return &out, err
}

// CheckMFA takes a code of a device for the user, or the root user, that has it: what STS asks before
// it issues a session with multi-factor authentication. known is false if there is no such device, ok if the code is not
// good; no code is good twice.
func (s *Service) CheckMFA(ctx context.Context, who authz.Principal, serialNumber, code string) (known, ok bool, err error) {
	if who.Type != authz.User && who.Type != authz.Root {
		return false, false, nil
	}
	err = s.g.Change(ctx, func(tx store.Tx) error {
		known, ok = false, false
		o := owner{account: who.Account, name: who.Username, id: who.UniqueID}
		if who.Type == authz.Root {
			o.id = ""
		}
		k, err := s.deviceOf(tx, o, &serialNumber)
		if err != nil || k.Body.UserID != o.key()[1] {
			if apierr.Code(err) != "" {
				return nil // there is no such device
			}
			return err
		}
		known = true
		seed, err := s.secrets.Open(k.Body.Sealed, seedAAD(k))
		if err != nil {
			return err
		}
		if k.Body.Step, ok = totp.Find(seed, code, s.wall(), k.Body.Step); !ok {
			return nil
		}
		return devices.put(tx, k)
	})
	return known, ok, err
}
