// Package s3 keeps objects in a bucket of Amazon S3 or of anything that speaks its API, through the official
// client. The operator names the bucket; no tenant has a say in where requests go.
package s3

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"github.com/kagimori/kagimori/internal/objects"
	"github.com/kagimori/kagimori/internal/outbound"
	"github.com/kagimori/kagimori/internal/secret"
)

// Config of a [Bucket].
type Config struct {
	// Endpoint is an https URL; empty is AWS's of the Region. With one, the bucket is part of the path.
	Endpoint string
	Region   string // empty is us-east-1
	Bucket   string
	Prefix   string // of all names, without slashes around it; may be empty

	AccessKeyID     string
	SecretAccessKey secret.String
	SessionToken    secret.String

	// Outbound has the roots to trust and the hosts to dial elsewhere. Which addresses may be dialled is not
	// limited: whoever configures this chose the endpoint.
	Outbound outbound.Config
}

// How long a request may take and how long its answer may be, and how often it is tried.
const (
	requestTime = 60 * time.Second
	answerBytes = 1 << 30
	attempts    = 6
)

// A Bucket is a store of objects. Safe for concurrent use.
type Bucket struct {
	cfg    Config
	client *awss3.Client
}

var _ objects.Store = (*Bucket)(nil)

// New is the store in a bucket, which exists. Nothing is asked of it yet.
func New(cfg Config) (*Bucket, error) {
	if cfg.Bucket == "" {
		return nil, errors.New("s3: no bucket is named")
	}
	if u, err := url.Parse(cfg.Endpoint); cfg.Endpoint != "" && (err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil) {
		return nil, fmt.Errorf("s3: the endpoint %q is not an https URL", cfg.Endpoint)
	}
	if cfg.Prefix != "" {
		if err := objects.CheckName(cfg.Prefix); err != nil {
			return nil, err
		}
	}
	if cfg.Region == "" {
		cfg.Region = "us-east-1"
	}
	o := cfg.Outbound
	o.Allow = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}
	client := awss3.New(awss3.Options{
		Region: cfg.Region, UsePathStyle: cfg.Endpoint != "", BaseEndpoint: endpoint(cfg.Endpoint),
		Credentials: credentials.NewStaticCredentialsProvider(cfg.AccessKeyID, cfg.SecretAccessKey.Reveal(), cfg.SessionToken.Reveal()),
		HTTPClient:  transport{outbound.New(o)},
		Retryer: retry.NewStandard(func(o *retry.StandardOptions) {
			o.MaxAttempts, o.MaxBackoff = attempts, 5*time.Second
		}),
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenRequired,
	})
	return &Bucket{cfg, client}, nil
}

func endpoint(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// transport has the SDK's requests made by the one client for what is outside.
type transport struct{ out *outbound.Client }

// Do makes a request and reads its whole answer.
func (t transport) Do(r *http.Request) (*http.Response, error) {
	a, err := t.out.Do(r.Context(), r, outbound.Limits{Time: requestTime, Body: answerBytes})
	if err != nil {
		return nil, retriable{err}
	}
	return &http.Response{
		Status: http.StatusText(a.Status), StatusCode: a.Status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: a.Header,
		Body: io.NopCloser(bytes.NewReader(a.Body)), ContentLength: int64(len(a.Body)), Request: r,
	}, nil
}

// A retriable error is one of the way there or back: an object is written whole or not at all, so the request
// may be made again.
type retriable struct{ error }

// Unwrap gives the error.
func (e retriable) Unwrap() error { return e.error }

// Temporary tells the SDK to try again.
func (e retriable) Temporary() bool {
	return !errors.Is(e.error, outbound.ErrURL) && !errors.Is(e.error, outbound.ErrTLS) && !errors.Is(e.error, outbound.ErrTooLarge)
}

// Timeout is what the SDK asks beside Temporary.
func (e retriable) Timeout() bool { return errors.Is(e.error, outbound.ErrTimeout) }

func (b *Bucket) key(name string) string {
	if b.cfg.Prefix == "" {
		return name
	}
	return b.cfg.Prefix + "/" + name
}

// Put implements [objects.Store]. The bucket compares the SHA-256 of what came with that of what was sent.
func (b *Bucket) Put(ctx context.Context, name string, data []byte) error {
	if err := objects.CheckName(name); err != nil {
		return err
	}
	return b.put(ctx, name, data)
}

func (b *Bucket) put(ctx context.Context, name string, data []byte) error {
	sum := sha256.Sum256(data)
	text := base64.StdEncoding.EncodeToString(sum[:])
	out, err := b.client.PutObject(ctx, &awss3.PutObjectInput{
		Bucket: &b.cfg.Bucket, Key: new(b.key(name)), Body: bytes.NewReader(data), ContentLength: new(int64(len(data))),
		ChecksumAlgorithm: types.ChecksumAlgorithmSha256, ChecksumSHA256: &text,
	})
	if err != nil {
		return b.failed("written", name, err)
	}
	if out.ChecksumSHA256 != nil && *out.ChecksumSHA256 != text {
		return fmt.Errorf("s3: %s was not written as it was sent", name)
	}
	return nil
}

// Get implements [objects.Store].
func (b *Bucket) Get(ctx context.Context, name string, off, n int64) ([]byte, error) {
	if err := objects.CheckName(name); err != nil {
		return nil, err
	}
	return b.get(ctx, name, off, n)
}

func (b *Bucket) get(ctx context.Context, name string, off, n int64) ([]byte, error) {
	in := &awss3.GetObjectInput{Bucket: &b.cfg.Bucket, Key: new(b.key(name))}
	switch {
	case n < 0 && off == 0: // whole: its checksum can be compared
		in.ChecksumMode = types.ChecksumModeEnabled
	case n < 0:
		in.Range = new(fmt.Sprintf("bytes=%d-", off))
	default:
		in.Range = new(fmt.Sprintf("bytes=%d-%d", off, off+max(1, n)-1))
	}
	out, err := b.client.GetObject(ctx, in)
	if err != nil {
		if codeOf(err) == "InvalidRange" { // it ends before
			return nil, nil
		}
		return nil, b.failed("read", name, err)
	}
	defer out.Body.Close()
	data, err := io.ReadAll(out.Body)
	if err != nil {
		return nil, b.failed("read", name, err)
	}
	if n >= 0 && int64(len(data)) > n {
		data = data[:n]
	}
	return data, nil
}

// Delete implements [objects.Store].
func (b *Bucket) Delete(ctx context.Context, name string) error {
	if err := objects.CheckName(name); err != nil {
		return err
	}
	_, err := b.client.DeleteObject(ctx, &awss3.DeleteObjectInput{Bucket: &b.cfg.Bucket, Key: new(b.key(name))})
	if err = b.failed("deleted", name, err); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// List implements [objects.Store].
func (b *Bucket) List(ctx context.Context, prefix string, fn func(objects.Object) error) error {
	pages := awss3.NewListObjectsV2Paginator(b.client, &awss3.ListObjectsV2Input{Bucket: &b.cfg.Bucket, Prefix: new(b.key(prefix))})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return b.failed("listed", prefix, err)
		}
		for _, o := range page.Contents {
			name := strings.TrimPrefix(aws.ToString(o.Key), b.key(""))
			if objects.CheckName(name) != nil {
				continue // not ours
			}
			if err := fn(objects.Object{Name: name, Size: aws.ToInt64(o.Size)}); err != nil {
				return err
			}
		}
	}
	return nil
}

// Sync implements [objects.Store]: what the bucket acknowledged is durable.
func (b *Bucket) Sync(context.Context) error { return nil }

// Recover implements [objects.Store]: the bucket has whole objects only.
func (b *Bucket) Recover(context.Context) error { return nil }

// ownerName is the object that says whose the objects are; no object of a store has such a name.
const ownerName = ".kagimori"

// Claim makes the bucket, below its prefix, the one of an owner, or fails if it is somebody else's: two data
// directories must not keep their snapshots in one place.
func (b *Bucket) Claim(ctx context.Context, owner string) error {
	switch there, err := b.Owner(ctx); {
	case err != nil:
		return err
	case there == "":
		return b.put(ctx, ownerName, []byte(owner))
	case there != owner:
		return fmt.Errorf("the bucket %s holds the snapshots of another data directory there", b.cfg.Bucket)
	}
	return nil
}

// Owner is who claimed the place, "" if nobody did.
func (b *Bucket) Owner(ctx context.Context) (string, error) {
	there, err := b.get(ctx, ownerName, 0, -1)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return string(there), err
}

func codeOf(err error) string {
	if e, ok := errors.AsType[smithy.APIError](err); ok {
		return e.ErrorCode()
	}
	return ""
}

// failed is an error of the bucket, nil for nil. It says nothing of credentials.
func (b *Bucket) failed(what, name string, err error) error {
	switch code := codeOf(err); {
	case err == nil:
		return nil
	case code == "NoSuchKey" || code == "NotFound":
		return fmt.Errorf("s3: %s: %w", name, fs.ErrNotExist)
	case code != "":
		return fmt.Errorf("s3: %s in bucket %s not %s: %s", name, b.cfg.Bucket, what, code)
	}
	return fmt.Errorf("s3: %s in bucket %s not %s: %w", name, b.cfg.Bucket, what, err)
}
