package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/kagimoriapi"
	"github.com/kagimori/kagimori/internal/wire/client"
)

const xksLong = `xks manages the credentials of the external key store proxy that serve is with --xks-listen: AWS KMS, or another
kagimori, uses keys of this server through it.

A credential stands for a role of IAM that trusts the service cks.kms.amazonaws.com, and for a list of keys. What is
asked with it is asked of these keys by a session of the role: its policies and the key policies decide, and the audit
log has a record of each request. docs/xks.md shows the whole way from a key to a KMS key in AWS.`

func newXKS(io stdio) *cobra.Command {
	cmd := &cobra.Command{
		Use: "xks", Short: "Manage the credentials with which AWS KMS uses keys of this server", Long: xksLong,
		Example: "  kagimori xks credential list", Args: cobra.NoArgs,
	}
	credential := &cobra.Command{
		Use: "credential", Short: "Create, list and delete credentials of the proxy", Args: cobra.NoArgs,
		Example: "  kagimori xks credential create --role arn:aws:iam::123456789012:role/aws-kms \\\n" +
			"    --key arn:aws:kms:eu-north-1:123456789012:key/1a2b3c4d-5e6f-1a2b-3c4d-5e6f1a2b3c4d --out credential.json",
	}
	credential.AddCommand(newXKSCreate(io), newXKSList(io), newXKSDelete(io))
	cmd.AddCommand(credential)
	return cmd
}

type xksCreate struct {
	clientFlags
	role, prefix, out string
	keys              []string
}

func newXKSCreate(io stdio) *cobra.Command {
	var f xksCreate
	cmd := &cobra.Command{
		Use: "create", Short: "Create a credential", Args: cobra.NoArgs,
		Long: `create makes a credential and writes it, in the form that aws kms create-custom-key-store takes as
--xks-proxy-authentication-credential, to a new file that only you may read. The secret is not kept in the clear and
not shown again.` + clientNote,
		Example: "  kagimori xks credential create --role arn:aws:iam::123456789012:role/aws-kms \\\n" +
			"    --key arn:aws:kms:eu-north-1:123456789012:key/1a2b3c4d-5e6f-1a2b-3c4d-5e6f1a2b3c4d --out credential.json",
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd.Context(), io) },
	}
	f.register(cmd)
	fl := cmd.Flags()
	fl.StringVar(&f.role, "role", "", "`ARN` of the role that it acts as")
	fl.StringArrayVar(&f.keys, "key", nil, "`ARN` of a key that may be used with it (repeatable)")
	fl.StringVar(&f.prefix, "path-prefix", "", "`path` before /kms/xks/v1, such as /acme, that tells key stores of one proxy apart")
	fl.StringVar(&f.out, "out", "", "new `file` for the credential, or - for standard output")
	return cmd
}

func (f *xksCreate) run(ctx context.Context, io stdio) error {
	if f.role == "" || len(f.keys) == 0 || f.out == "" {
		return errors.New("--role, --key and --out are needed")
	}
	c, err := f.client("")
	if err != nil {
		return err
	}
	if f.out == "-" {
		return failed(f.create(ctx, c, io.out, nil))
	}
	// The file first: a credential that nobody can read would be of no use.
	file, err := os.OpenFile(f.out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return failed(fmt.Errorf("%s exists; credentials are written to new files", f.out))
	}
	if err != nil {
		return failed(err)
	}
	if err = errors.Join(f.create(ctx, c, file, io.out), file.Close()); err != nil {
		err = errors.Join(err, os.Remove(f.out))
	}
	return failed(err)
}

// create makes the credential, writes it to one place and, unless that is nil, what is no secret to
// another.
func (f *xksCreate) create(ctx context.Context, c *client.Client, to, public io.Writer) error {
	var out kagimoriapi.CreateXksCredentialResponse
	in := &kagimoriapi.CreateXksCredentialRequest{RoleArn: &f.role, KeyArns: f.keys, UriPathPrefix: &f.prefix}
	if err := c.Do(ctx, "CreateXksCredential", in, &out); err != nil {
		return err
	}
	data, err := json.MarshalIndent(map[string]string{
		"AccessKeyId": api.Val(out.Credential.AccessKeyId), "RawSecretAccessKey": out.RawSecretAccessKey.Reveal(),
	}, "", "  ")
	if err == nil {
		_, err = fmt.Fprintf(to, "%s\n", data)
	}
	if err == nil && public != nil {
		_, err = fmt.Fprintf(public, "%s\nXksProxyUriPath is %s\n", api.Val(out.Credential.AccessKeyId), api.Val(out.Credential.UriPath))
	}
	return err
}

func newXKSList(io stdio) *cobra.Command {
	var f answerFlags
	cmd := &cobra.Command{
		Use: "list", Short: "List the account's credentials", Long: "list shows the credentials of the account, without their secrets." + clientNote,
		Example: "  kagimori xks credential list", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return listXKS(cmd.Context(), io, &f) },
	}
	f.register(cmd)
	return cmd
}

func listXKS(ctx context.Context, io stdio, f *answerFlags) error {
	if err := f.checkFormat(); err != nil {
		return err
	}
	c, err := f.client("")
	if err != nil {
		return err
	}
	var out kagimoriapi.ListXksCredentialsResponse
	if err := c.Do(ctx, "ListXksCredentials", &kagimoriapi.ListXksCredentialsRequest{}, &out); err != nil {
		return failed(err)
	}
	var b strings.Builder
	if f.format == "json" {
		text, err := plainJSON(out)
		if err != nil {
			return failed(err)
		}
		b.WriteString(text)
	} else {
		for _, k := range out.Credentials {
			fmt.Fprintf(&b, "%s %s as %s, made %s\n", api.Val(k.AccessKeyId), api.Val(k.UriPath), api.Val(k.RoleArn), k.CreationDate.UTC().Format("2006-01-02 15:04:05Z"))
			for _, key := range k.KeyArns {
				fmt.Fprintf(&b, "  %s\n", key)
			}
		}
		if len(out.Credentials) == 0 {
			b.WriteString("The account has no credentials for the external key store proxy.\n")
		}
	}
	_, err = fmt.Fprint(io.out, b.String())
	return failed(err)
}

func newXKSDelete(io stdio) *cobra.Command {
	var f clientFlags
	cmd := &cobra.Command{
		Use: "delete ACCESS-KEY-ID", Short: "Delete a credential", Args: cobra.ExactArgs(1),
		Long:    "delete takes a credential away: from then on the proxy refuses what is signed with it." + clientNote,
		Example: "  kagimori xks credential delete KXKSABCDEFGHIJKLMNOPQRS",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := f.client("")
			if err != nil {
				return err
			}
			return failed(c.Do(cmd.Context(), "DeleteXksCredential", &kagimoriapi.DeleteXksCredentialRequest{AccessKeyId: &args[0]}, nil))
		},
	}
	f.register(cmd)
	return cmd
}
