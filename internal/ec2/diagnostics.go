package ec2

import (
	"bytes"
	"context"
	"encoding/base64"
	"image"
	"image/jpeg"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/ec2/instancetype"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// errNotRunning is for what only a running instance can do.
func errNotRunning(i *instanceRecord) error {
	return apierr.Newf("IncorrectInstanceState", "The instance '%s' is not in the 'running' state.", i.ID)
}

// darkScreen is a screen of 80 by 25 characters that shows nothing, as a JPEG.
func darkScreen() (string, error) {
	var b bytes.Buffer
	err := jpeg.Encode(&b, image.NewGray(image.Rect(0, 0, 720, 400)), nil)
	return base64.StdEncoding.EncodeToString(b.Bytes()), err
}

// GetConsoleScreenshot shows the screen of a running instance. Machines here have a serial console and no screen, so
// it is dark. Instances without a hypervisor and those of Arm have no screenshots at AWS.
// Source: EC2 API Reference, GetConsoleScreenshot; EC2 User Guide, "Troubleshoot an unreachable Amazon EC2 instance".
func (s *Service) GetConsoleScreenshot(ctx context.Context, c *guard.Call, in *ec2api.GetConsoleScreenshotRequest) (*ec2api.GetConsoleScreenshotResult, error) {
	out := &ec2api.GetConsoleScreenshotResult{}
	return out, s.g.View(ctx, c, func(tx store.Tx) error {
		i, err := s.oneInstance(tx, c, in.InstanceId, in.DryRun)
		if err != nil {
			return err
		}
		t, ok := instancetype.Lookup(i.Type)
		switch {
		case ok && (t.Metal() || t.Family.Arch == "arm64"):
			return apierr.Newf("UnsupportedOperation", "The instance type '%s' does not support console screenshots.", i.Type)
		case i.State != running:
			return errNotRunning(&i)
		}
		screen, err := darkScreen()
		*out = ec2api.GetConsoleScreenshotResult{InstanceId: &i.ID, ImageData: &screen}
		return err
	})
}

// SendDiagnosticInterrupt interrupts a running instance on the Nitro system. What that makes of it is up to its
// operating system, and nothing if it is not set up for it.
// Source: EC2 User Guide, "Send a diagnostic interrupt to debug an unreachable Amazon EC2 instance".
func (s *Service) SendDiagnosticInterrupt(ctx context.Context, c *guard.Call, in *ec2api.SendDiagnosticInterruptRequest) error {
	return s.g.View(ctx, c, func(tx store.Tx) error {
		i, err := s.oneInstance(tx, c, in.InstanceId, in.DryRun)
		if err != nil {
			return err
		}
		t, ok := instancetype.Lookup(i.Type)
		switch {
		case ok && (!t.OnNitro() || t.Family.Name == "a1"):
			return apierr.Newf("UnsupportedOperation", "The instance type '%s' does not support diagnostic interrupts.", i.Type)
		case i.State != running:
			return errNotRunning(&i)
		}
		return nil
	})
}

// ModifyInstanceEventStartTime finds no event: none is ever scheduled here.
// Source: EC2 API Reference, ModifyInstanceEventStartTime; "Error codes".
func (s *Service) ModifyInstanceEventStartTime(ctx context.Context, c *guard.Call, in *ec2api.ModifyInstanceEventStartTimeRequest) (*ec2api.ModifyInstanceEventStartTimeResult, error) {
	return nil, s.g.View(ctx, c, func(tx store.Tx) error {
		_, err := s.oneInstance(tx, c, in.InstanceId, in.DryRun, func(p *authz.Part) {
			setAttribute(p, "NotBefore", apiTime(*in.NotBefore))
		})
		if err != nil {
			return err
		}
		return apierr.Newf("InvalidInstanceEventIDNotFound", "The instance event id '%s' does not exist", api.Val(in.InstanceEventId))
	})
}
