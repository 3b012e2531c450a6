package tour

import (
	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/autoscalingapi"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/api/kagimoriapi"
	"github.com/kagimori/kagimori/internal/api/kmsapi"
	"github.com/kagimori/kagimori/internal/sigv4"
	"github.com/kagimori/kagimori/internal/wire/client"
)

// devSecret is the secret of every access key of a development server.
const devSecret = "test"

// A party is somebody with credentials, and a client of each service for them.
type party struct {
	keyID, account                    string
	kms, iam, compute, groups, reason *client.Client
}

// admin is the user admin of an account of a development server.
func (t *traveller) admin(account string) (*party, error) {
	return t.party(account, sigv4.Credentials{AccessKeyID: account + "ADMIN", Secret: devSecret})
}

func (t *traveller) party(account string, creds sigv4.Credentials) (*party, error) {
	p := &party{keyID: creds.AccessKeyID, account: account}
	for _, c := range []struct {
		to     **client.Client
		region string
		api    *api.Service
	}{
		{&p.kms, t.Region, kmsapi.Service()}, {&p.iam, "us-east-1", iamapi.Service()}, {&p.compute, t.Region, ec2api.Service()},
		{&p.groups, t.Region, autoscalingapi.Service()}, {&p.reason, t.Region, kagimoriapi.Service()},
	} {
		cl, err := client.New(t.Endpoint, c.region, creds, c.api)
		if err != nil {
			return nil, err
		}
		cl.HTTP = t.HTTP
		*c.to = cl
	}
	return p, nil
}
