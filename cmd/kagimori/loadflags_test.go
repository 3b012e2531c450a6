package main

import (
	"net"
	"testing"

	"github.com/kagimori/kagimori/internal/app"
	"github.com/kagimori/kagimori/internal/rate"
)

// Limits are on unless the server is for development, and what is set counts.
func TestLoadFlags(t *testing.T) {
	for _, tt := range []struct {
		f    loadFlags
		dev  bool
		mode rate.Mode
		bad  bool
	}{
		{loadFlags{}, false, rate.High, false},
		{loadFlags{}, true, rate.Off, false},
		{loadFlags{mode: "aws"}, true, rate.AWS, false},
		{loadFlags{mode: "off", limits: []string{"kms:CreateKey=2/9"}}, false, rate.Off, false},
		{loadFlags{mode: "fast"}, false, "", true},
		{loadFlags{limits: []string{"kms"}}, false, "", true},
	} {
		cfg := app.Config{Dev: tt.dev}
		err := tt.f.configure(&cfg)
		if (err != nil) != tt.bad || !tt.bad && cfg.Quotas.Mode != tt.mode {
			t.Errorf("%+v: %v, %v", tt.f, cfg.Quotas, err)
		}
		if len(tt.f.limits) == 1 && !tt.bad && cfg.Quotas.Set["kms:CreateKey"] != (rate.Limit{PerSecond: 2, Burst: 9}) {
			t.Errorf("%+v: %v", tt.f, cfg.Quotas)
		}
	}
}

// A connection above the bound waits until another one closes, and closing the listener ends the wait.
func TestConnectionsAreBounded(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := limited(inner, 1)
	accepted := make(chan net.Conn)
	ended := make(chan error, 1)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				ended <- err
				return
			}
			accepted <- c
		}
	}()
	for range 2 {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	first := <-accepted
	select {
	case <-accepted:
		t.Fatal("two are open")
	default:
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	_ = first.Close()
	second := <-accepted
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err == nil {
		t.Error("no error after the end")
	}
	_ = second.Close()
}
