package e2e_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	"github.com/kagimori/kagimori/e2e/internal/server"
)

// A recorder remembers which operations were answered to its clients.
type recorder struct {
	mu   sync.Mutex
	seen map[string]bool // "IAM GetUser"
}

func (r *recorder) add(stack *middleware.Stack) error {
	return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("recorder", func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
		out, meta, err := next.HandleInitialize(ctx, in)
		if _, answered := errors.AsType[smithy.APIError](err); err == nil || answered {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.seen[strings.ToLower(awsmiddleware.GetServiceID(ctx))+" "+awsmiddleware.GetOperationName(ctx)] = true
		}
		return out, meta, err
	}), middleware.Before)
}

// client is somebody whose calls are remembered.
func (r *recorder) client(url, account string, creds aws.Credentials) *client {
	cfg := aws.Config{
		Region: "eu-west-1", BaseEndpoint: &url, RetryMaxAttempts: 1, HTTPClient: &http.Client{Transport: readOnlyBody{}},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return creds, nil }),
		APIOptions:  []func(*middleware.Stack) error{r.add},
	}
	c := newClient(url, cfg.Region, account, creds)
	c.iam, c.sts, c.org = iam.NewFromConfig(cfg), sts.NewFromConfig(cfg), organizations.NewFromConfig(cfg)
	return c
}

func (r *recorder) admin(url, account string) *client {
	return r.client(url, account, aws.Credentials{AccessKeyID: account + "ADMIN", SecretAccessKey: "test"})
}

// implemented are the operations of a service that kagimori implements.
func implemented(service string) []string {
	data, err := os.ReadFile("../internal/apigen/operations.txt")
	if err != nil {
		panic(err)
	}
	m := regexp.MustCompile(`(?m)^` + service + `\n((?:.+\n)+)`).FindSubmatch(data)
	if m == nil {
		panic("no operations of " + service)
	}
	return strings.Fields(string(m[1]))
}

// missing are the operations of a service that kagimori implements and that nobody called. The SDK knows the
// service by the same id but for its case.
func (r *recorder) missing(service string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var missing []string
	for _, op := range implemented(service) {
		if !r.seen[service+" "+op] {
			missing = append(missing, op)
		}
	}
	slices.Sort(missing)
	return missing
}

// TestIdentityOperations serves every operation of IAM, STS and Organizations to the SDK; one that the
// parts of it do not call fails it.
func TestIdentityOperations(t *testing.T) {
	issuer := newIssuer(t)
	s := server.Start(t, t.TempDir(), "--outbound-ca", issuer.ca, "--outbound-connect", "example.com="+issuer.address)
	r := &recorder{seen: map[string]bool{}}
	for name, test := range map[string]func(*testing.T, *recorder, string){
		"users": testUsers, "groups": testGroups, "roles": testRoles, "policies": testPolicies, "profiles": testProfiles,
		"providers": testProviders, "managed policies": testManagedPolicies, "delegates": testDelegates, "belongings": testBelongings, "account": testAccount, "simulation": testSimulation,
		"reports": testReports, "sessions": testSessions, "organization": testOrganization,
		"saml": testSAML, "outbound": testOutbound, "delegation": testDelegation, "handshakes": testHandshakes,
		"web identity": func(t *testing.T, r *recorder, url string) { testWebIdentity(t, r, url, issuer) },
	} {
		t.Run(name, func(t *testing.T) { test(t, r, s.URL) })
	}
	if t.Failed() {
		return
	}
	for _, service := range []string{"iam", "sts", "organizations"} {
		if missing := r.missing(service); len(missing) > 0 {
			t.Errorf("no test calls of %s: %s", service, strings.Join(missing, " "))
		}
	}
}
