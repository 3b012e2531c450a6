// Package awsconfig finds credentials, regions and endpoints as every AWS tool does: environment,
// shared configuration and credentials files with their profiles, SSO, processes, web identity,
// containers and instances. It is the one place where the official SDK is used; calls are made by
// package live with a client of our own (docs/design/005-live-reads.md).
package awsconfig

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/live"
	"github.com/kagimori/kagimori/internal/secret"
	"github.com/kagimori/kagimori/internal/sigv4"
)

// Options say whose credentials are found.
type Options struct {
	// Profiles of the shared configuration; none is the default chain.
	Profiles []string
	// Roles are assumed with the credentials of the first profile, each for one more account.
	Roles []string
	// Region and Endpoint go before what is configured; "" leaves it.
	Region, Endpoint string
	HTTP             *http.Client // nil is the SDK's
}

// ErrConfig says that credentials cannot be found.
var ErrConfig = errors.New("awsconfig: no credentials")

// sessionName is that of the sessions of assumed roles.
const sessionName = "kagimori-check"

// Load finds the accesses of the profiles, then of the roles. Nothing is asked of AWS yet.
func Load(ctx context.Context, o Options) ([]live.Access, error) {
	profiles := o.Profiles
	if len(profiles) == 0 {
		profiles = []string{""}
	}
	var out []live.Access
	var base aws.Config
	for i, p := range profiles {
		cfg, err := load(ctx, o, p)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			base = cfg
		}
		name := fmt.Sprintf("profile %q", p)
		if p == "" {
			name = "the default credentials"
		}
		a, err := access(name, cfg, o.Endpoint)
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	for _, role := range o.Roles {
		if a, err := arn.Parse(role); err != nil || a.Service != "iam" || a.Type() != "role" {
			return nil, fmt.Errorf("%w: %q is not the ARN of a role", ErrConfig, role)
		}
		cfg := base.Copy()
		client := sts.NewFromConfig(base, func(so *sts.Options) {
			if o.Endpoint != "" {
				so.BaseEndpoint = &o.Endpoint
			}
		})
		cfg.Credentials = aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(client, role, func(p *stscreds.AssumeRoleOptions) {
			p.RoleSessionName = sessionName
		}))
		a, err := access("role "+role, cfg, o.Endpoint)
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, nil
}

func load(ctx context.Context, o Options, profile string) (aws.Config, error) {
	var opts []func(*config.LoadOptions) error
	if profile != "" {
		opts = append(opts, config.WithSharedConfigProfile(profile))
	}
	if o.Region != "" {
		opts = append(opts, config.WithRegion(o.Region))
	}
	if o.HTTP != nil {
		opts = append(opts, config.WithHTTPClient(o.HTTP))
	}
	cfg, err := config.LoadDefaultConfig(ctx, opts...)
	if err != nil {
		return cfg, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	if cfg.Region == "" {
		return cfg, fmt.Errorf("%w: no region: give --region, set AWS_REGION or configure one", ErrConfig)
	}
	for _, other := range []string{"cn-", "us-gov-", "us-iso", "eu-isoe-", "eusc-"} {
		if strings.HasPrefix(cfg.Region, other) {
			return cfg, fmt.Errorf("%w: %s is of another partition than %s, the only one that kagimori knows", ErrConfig, cfg.Region, arn.Partition)
		}
	}
	return cfg, nil
}

func access(name string, cfg aws.Config, endpoint string) (live.Access, error) {
	if cfg.Credentials == nil {
		return live.Access{}, fmt.Errorf("%w for %s", ErrConfig, name)
	}
	return live.Access{
		Name: name, Region: cfg.Region,
		Credentials: func(ctx context.Context) (sigv4.Credentials, error) {
			c, err := cfg.Credentials.Retrieve(ctx)
			if err != nil {
				return sigv4.Credentials{}, fmt.Errorf("%w for %s: %w", ErrConfig, name, err)
			}
			return sigv4.Credentials{AccessKeyID: c.AccessKeyID, Secret: secret.String(c.SecretAccessKey), SessionToken: c.SessionToken}, nil
		},
		Endpoint: func(service string) string {
			if endpoint != "" {
				return strings.TrimSuffix(endpoint, "/")
			}
			return strings.TrimSuffix(configured(cfg, service), "/")
		},
	}, nil
}

// sdkIDs are the names of services in configuration.
func sdkIDs() map[string]string {
	return map[string]string{
		"kms": "KMS", "iam": "IAM", "sts": "STS", "ec2": "EC2", "autoscaling": "Auto Scaling", "organizations": "Organizations",
	}
}

// configured is the endpoint that environment or profile set for a service, or for all.
//
// Source: SDKs and Tools Reference Guide, "Service-specific endpoints".
func configured(cfg aws.Config, service string) string {
	for _, source := range cfg.ConfigSources {
		s, ok := source.(interface {
			GetServiceBaseEndpoint(context.Context, string) (string, bool, error)
		})
		if !ok {
			continue
		}
		if value, found, err := s.GetServiceBaseEndpoint(context.Background(), sdkIDs()[service]); err == nil && found && value != "" {
			return value
		}
	}
	return aws.ToString(cfg.BaseEndpoint)
}
