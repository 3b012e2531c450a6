package app_test

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/app"
	"github.com/kagimori/kagimori/internal/outbound"
	"github.com/kagimori/kagimori/internal/testkit"
)

// webhook is a server that gets events over TLS. It answers with the given statuses first.
type webhook struct {
	mu       sync.Mutex
	statuses []int    // guarded by mu
	got      []string // guarded by mu: detail-type and Content-Type of what was taken
	asked    int      // guarded by mu
}

// ServeHTTP takes an event.
func (h *webhook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked++
	body, err := io.ReadAll(r.Body)
	var e struct {
		DetailType string `json:"detail-type"`
	}
	if len(h.statuses) > 0 {
		status := h.statuses[0]
		h.statuses = h.statuses[1:]
		if status == http.StatusFound {
			w.Header().Set("Location", "https://hooks.example.com/elsewhere")
		}
		w.WriteHeader(status)
		return
	}
	if err != nil || json.Unmarshal(body, &e) != nil || r.Method != http.MethodPost || r.URL.Path != "/asg" {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	h.got = append(h.got, e.DetailType+" "+r.Header.Get("Content-Type"))
}

// Events are posted over TLS, again until they are taken, under the rules for outgoing requests.
func TestEventsGoToAWebhook(t *testing.T) {
	hook := &webhook{statuses: []int{http.StatusInternalServerError, http.StatusFound}}
	srv := httptest.NewTLSServer(hook)
	defer srv.Close()
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	home := netip.MustParsePrefix("127.0.0.0/8")
	resolve := func(context.Context, string) ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
	}
	port := srv.URL[strings.LastIndexByte(srv.URL, ':'):]
	for _, tt := range []struct {
		name string
		url  string
		out  outbound.Config
		want int // events that are taken
	}{
		{"an address of the own network", "https://example.com" + port + "/asg", outbound.Config{Roots: roots, Resolve: resolve}, 0},
		{"a certificate of nobody", "https://example.com" + port + "/asg", outbound.Config{Allow: []netip.Prefix{home}, Resolve: resolve}, 0},
		{"a certificate of another host", "https://hooks.example.org" + port + "/asg", outbound.Config{Allow: []netip.Prefix{home}, Roots: roots, Resolve: resolve}, 0},
		{"allowed", "https://example.com" + port + "/asg", outbound.Config{Allow: []netip.Prefix{home}, Roots: roots, Resolve: resolve}, 1},
		{"connected", "https://example.com/asg", outbound.Config{Roots: roots, Connect: map[string]string{"example.com": srv.Listener.Addr().String()}}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			hook.mu.Lock()
			hook.got, hook.asked = nil, 0
			hook.mu.Unlock()
			s := testkit.Start(t, testkit.Options{Configure: func(c *app.Config) { c.Events, c.Outbound = tt.url, tt.out }})
			c := s.As(testkit.Admin("123456789012"))
			image := testkit.Call[ec2api.DescribeImagesResult](c.EC2, "DescribeImages", &ec2api.DescribeImagesRequest{Owners: []string{"amazon"}}).Images[0].ImageId
			testkit.Call[ec2api.CreateLaunchTemplateResult](c.EC2, "CreateLaunchTemplate", &ec2api.CreateLaunchTemplateRequest{
				LaunchTemplateName: new("web"), LaunchTemplateData: &ec2api.RequestLaunchTemplateData{ImageId: image, InstanceType: new("t3.micro")},
			})
			testkit.Must(c.AutoScaling, "CreateAutoScalingGroup", &autoscalingapi.CreateAutoScalingGroupType{
				AutoScalingGroupName: new("web"), MinSize: new(int32(1)), MaxSize: new(int32(1)), AvailabilityZones: []string{testkit.Region + "a"},
				LaunchTemplate: &autoscalingapi.LaunchTemplateSpecification{LaunchTemplateName: new("web")},
			})
			s.Advance(2 * time.Minute)
			hook.mu.Lock()
			defer hook.mu.Unlock()
			if len(hook.got) != tt.want || tt.want == 0 && hook.asked > 0 {
				t.Errorf("%d events were taken of %d requests, want %d: %q", len(hook.got), hook.asked, tt.want, hook.got)
			}
			for _, e := range hook.got {
				if e != "EC2 Instance Launch Successful application/json" {
					t.Errorf("got %s", e)
				}
			}
			if tt.name == "allowed" && hook.asked != 3 {
				t.Errorf("%d requests, want 3: two were not taken, and a redirection was not followed", hook.asked)
			}
		})
	}
}
