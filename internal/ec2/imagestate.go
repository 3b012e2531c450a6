package ec2

import (
	"context"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// Deregistration protection of an image. Source: EC2 User Guide, "Protect an Amazon EC2 AMI from deregistration".
const (
	unprotected     = "disabled"
	protectedPlain  = "enabled-without-cooldown"
	protectedCooled = "enabled-with-cooldown"
	protectCooldown = 24 * time.Hour
)

// stateOfImages are the handlers of what the owner of an image says about its use.
func (s *Service) stateOfImages() map[string]guard.Handler {
	return map[string]guard.Handler{
		"EnableImage":                          guard.Handle(s.EnableImage),
		"DisableImage":                         guard.Handle(s.DisableImage),
		"EnableImageDeprecation":               guard.Handle(s.EnableImageDeprecation),
		"DisableImageDeprecation":              guard.Handle(s.DisableImageDeprecation),
		"EnableImageDeregistrationProtection":  guard.Handle(s.EnableImageDeregistrationProtection),
		"DisableImageDeregistrationProtection": guard.Handle(s.DisableImageDeregistrationProtection),
	}
}

// alterImage changes an image of the caller's.
func (s *Service) alterImage(ctx context.Context, c *guard.Call, id *string, flag *bool, change func(*imageRecord) error) error {
	return s.g.Update(ctx, c, func(tx store.Tx) error {
		r, err := s.changeImage(tx, c, api.Val(id), flag, "", "")
		if err != nil {
			return err
		}
		if err := change(&r); err != nil {
			return err
		}
		return putImage(tx, r)
	})
}

// DisableImage keeps an image from being launched, and shares it with nobody any more; only its owner sees it.
// Source: EC2 API Reference, DisableImage.
func (s *Service) DisableImage(ctx context.Context, c *guard.Call, in *ec2api.DisableImageRequest) (*ec2api.DisableImageResult, error) {
	return &ec2api.DisableImageResult{Return: new(true)}, s.alterImage(ctx, c, in.ImageId, in.DryRun, func(r *imageRecord) error {
		if r.State != imageAvailable && r.State != imageDisabled {
			return errImageUnavailable(r.ID)
		}
		r.State = imageDisabled
		r.unshare()
		return nil
	})
}

// EnableImage lets an image be launched again. Source: EC2 API Reference, EnableImage.
func (s *Service) EnableImage(ctx context.Context, c *guard.Call, in *ec2api.EnableImageRequest) (*ec2api.EnableImageResult, error) {
	return &ec2api.EnableImageResult{Return: new(true)}, s.alterImage(ctx, c, in.ImageId, in.DryRun, func(r *imageRecord) error {
		if r.State != imageAvailable && r.State != imageDisabled {
			return errImageUnavailable(r.ID)
		}
		r.State = imageAvailable
		return nil
	})
}

// Years that a deprecation may be ahead, and that of a public image.
// Source: EC2 User Guide, "Deprecate an Amazon EC2 AMI".
const (
	maxDeprecation       = 10
	maxPublicDeprecation = 2
)

// EnableImageDeprecation says from when on others do not see an image unless they ask for it, to the minute,
// at most ten years ahead, or two for one that is public.
// Source: EC2 API Reference, EnableImageDeprecation; EC2 User Guide, "Deprecate an Amazon EC2 AMI".
func (s *Service) EnableImageDeprecation(ctx context.Context, c *guard.Call, in *ec2api.EnableImageDeprecationRequest) (*ec2api.EnableImageDeprecationResult, error) {
	if in.DeprecateAt == nil {
		return nil, apierr.New("MissingParameter", "The request must contain the parameter DeprecateAt")
	}
	at := in.DeprecateAt.UTC().Round(time.Minute)
	return &ec2api.EnableImageDeprecationResult{Return: new(true)}, s.alterImage(ctx, c, in.ImageId, in.DryRun, func(r *imageRecord) error {
		years := maxDeprecation
		if r.Public {
			years = maxPublicDeprecation
		}
		if at.Before(c.Time) || at.After(c.Time.AddDate(years, 0, 0)) {
			return invalidValue("Value (%s) for parameter DeprecateAt is invalid. It is in the future, and at most %d years ahead.", apiTime(at), years)
		}
		r.Deprecated = at
		return nil
	})
}

// DisableImageDeprecation takes the date away that EnableImageDeprecation set.
func (s *Service) DisableImageDeprecation(ctx context.Context, c *guard.Call, in *ec2api.DisableImageDeprecationRequest) (*ec2api.DisableImageDeprecationResult, error) {
	return &ec2api.DisableImageDeprecationResult{Return: new(true)}, s.alterImage(ctx, c, in.ImageId, in.DryRun, func(r *imageRecord) error {
		r.Deprecated = time.Time{}
		return nil
	})
}

// EnableImageDeregistrationProtection keeps an image from being deregistered, and answers how it is protected.
// Source: EC2 API Reference, EnableImageDeregistrationProtection; AWS CLI Command Reference, examples of that command.
func (s *Service) EnableImageDeregistrationProtection(ctx context.Context, c *guard.Call, in *ec2api.EnableImageDeregistrationProtectionRequest) (*ec2api.EnableImageDeregistrationProtectionResult, error) {
	out := new(ec2api.EnableImageDeregistrationProtectionResult)
	return out, s.alterImage(ctx, c, in.ImageId, in.DryRun, func(r *imageRecord) error {
		r.Protection, r.ProtectedUntil = protectedPlain, time.Time{}
		if api.Val(in.WithCooldown) {
			r.Protection = protectedCooled
		}
		out.Return = &r.Protection
		return nil
	})
}

// DisableImageDeregistrationProtection lets an image be deregistered; if it was protected with a cooldown, a day
// later. Source: EC2 API Reference, DisableImageDeregistrationProtection.
func (s *Service) DisableImageDeregistrationProtection(ctx context.Context, c *guard.Call, in *ec2api.DisableImageDeregistrationProtectionRequest) (*ec2api.DisableImageDeregistrationProtectionResult, error) {
	out := new(ec2api.DisableImageDeregistrationProtectionResult)
	return out, s.alterImage(ctx, c, in.ImageId, in.DryRun, func(r *imageRecord) error {
		if r.Protection == protectedCooled {
			r.ProtectedUntil = c.Time.Add(protectCooldown)
		}
		r.Protection = ""
		out.Return = new(r.protection(c.Time))
		return nil
	})
}

// protection is how an image is protected at a time.
func (r *imageRecord) protection(now time.Time) string {
	switch {
	case r.Protection != "":
		return r.Protection
	case now.Before(r.ProtectedUntil):
		return protectedCooled
	}
	return unprotected
}

// deregistrable refuses to deregister an image that is protected. AWS's code and text are not published.
func (r *imageRecord) deregistrable(now time.Time) error {
	if r.protection(now) == unprotected {
		return nil
	}
	if r.Protection == "" {
		return apierr.Newf("OperationNotPermitted", "The image '%s' cannot be deregistered before %s: its deregistration protection has a cooldown period.", r.ID, apiTime(r.ProtectedUntil))
	}
	return apierr.Newf("OperationNotPermitted", "The image '%s' cannot be deregistered because its deregistration protection is enabled.", r.ID)
}

func errImageUnavailable(id string) error {
	return apierr.Newf("InvalidAMIID.Unavailable", "The image ID '%s' is not available", id)
}
