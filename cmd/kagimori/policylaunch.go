package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/policy"
	"github.com/kagimori/kagimori/internal/policy/keyview"
)

const forLaunchLong = `for-launch prints a whole key policy for a key that volumes of Auto Scaling groups are encrypted under: the statement
that lets the account administer it by IAM policies, and those that launches need. The groups are in the key's account
or in others; for those the grants that they also need are told on standard error.

With --style documented the statements are those of AWS's page, with --style least those that launches ask for, and
no more: a data key for empty volumes and such of plain images, and encryption anew for snapshots under another key.`

// forLaunchFlags are the flags of policy for-launch.
type forLaunchFlags struct {
	account, style, key string
	suffixes, roles     []string
	groupAccounts       []string
	administrators      []string
	spot                bool
}

func newPolicyForLaunch(io stdio) *cobra.Command {
	var f forLaunchFlags
	cmd := &cobra.Command{
		Use: "for-launch", Short: "Print the key policy that launches need", Long: forLaunchLong, Args: cobra.NoArgs,
		Example: "  kagimori policy for-launch --account 123456789012\n" +
			"  kagimori policy for-launch --account 123456789012 --suffix web --spot --style least\n" +
			"  kagimori policy for-launch --account 444455556666 --group-account 111122223333 > key-policy.json",
		RunE: func(*cobra.Command, []string) error { return f.run(io) },
	}
	fl := cmd.Flags()
	fl.SortFlags = false
	fl.StringVar(&f.account, "account", "", "`ID` of the account of the key")
	fl.StringArrayVar(&f.groupAccounts, "group-account", nil, "`ID` of an account with groups, if it is another; may be repeated")
	fl.StringArrayVar(&f.suffixes, "suffix", nil, "`SUFFIX` of the service-linked role of the groups, if it is not the default one; may be repeated")
	fl.StringArrayVar(&f.roles, "role", nil, "`ARN` of a role or user that launches itself; may be repeated")
	fl.BoolVar(&f.spot, "spot", false, "launch configurations start Spot Instances: admit the role for them too")
	fl.StringArrayVar(&f.administrators, "administrator", nil, "`ARN` of a key administrator; may be repeated")
	fl.StringVar(&f.style, "style", "documented", "`STYLE` of the statements: documented or least")
	fl.StringVar(&f.key, "key", "", "`ARN` of the key, for what is told of grants")
	return cmd
}

func (f *forLaunchFlags) run(io stdio) error {
	switch {
	case f.account == "":
		return errors.New("--account is missing: whose key is it?")
	case !arn.IsAccount(f.account):
		return fmt.Errorf("--account %q is not an account id of 12 digits", f.account)
	case f.style != "documented" && f.style != "least":
		return fmt.Errorf("--style %q is neither documented nor least", f.style)
	}
	p, err := keyview.Parse([]byte(policy.DefaultKeyPolicy(f.account)))
	if err != nil {
		return err
	}
	steps, notes, err := f.steps()
	if err != nil {
		return err
	}
	for _, step := range steps {
		if p, err = step(p); err != nil {
			return err
		}
	}
	out, err := canonical(p.Bytes())
	if err != nil {
		return err
	}
	if len(out) > policy.MaxKeyPolicySize {
		return failed(fmt.Errorf("the policy would have %d bytes; KMS takes %d", len(out), policy.MaxKeyPolicySize))
	}
	if _, err := io.out.Write(out); err != nil {
		return failed(err)
	}
	for _, text := range notes {
		fmt.Fprintln(io.err, text)
	}
	return nil
}

// steps are the edits that make the policy, and what is to be said besides.
func (f *forLaunchFlags) steps() (steps []func(*keyview.Policy) (*keyview.Policy, error), notes []string, err error) {
	add := func(step func(*keyview.Policy) (*keyview.Policy, error)) { steps = append(steps, step) }
	for _, name := range f.administrators {
		add(func(p *keyview.Policy) (*keyview.Policy, error) { return p.AddAdministrator(name) })
	}
	if len(f.groupAccounts) == 0 && len(f.roles) == 0 || len(f.groupAccounts) == 0 && (len(f.suffixes) > 0 || f.spot) {
		f.groupAccounts = []string{f.account}
	}
	for _, name := range f.roles {
		if a, err := arn.Parse(name); err == nil && a.Account != f.account {
			return nil, nil, fmt.Errorf("--role %s is of another account: use --group-account, and allow it to the role by IAM policies there", name)
		}
		add(func(p *keyview.Policy) (*keyview.Policy, error) {
			if f.style == "least" {
				return p.AddLauncherLeast(name)
			}
			return p.AddUser(name, keyview.Symmetric)
		})
	}
	for _, account := range f.groupAccounts {
		roles, err := f.linkedRoles(account)
		if err != nil {
			return nil, nil, err
		}
		if account != f.account {
			add(func(p *keyview.Policy) (*keyview.Policy, error) { return p.ShareWithAccount(account) })
		}
		for _, role := range roles {
			if account != f.account {
				more, err := grantTold(role, account, f.account, f.key)
				if err != nil {
					return nil, nil, err
				}
				notes = append(notes, more...)
				continue
			}
			add(func(p *keyview.Policy) (*keyview.Policy, error) {
				if f.style == "least" {
					return p.AddLinkedRoleLeast(role)
				}
				return p.AddLinkedRole(role)
			})
		}
	}
	return steps, notes, nil
}

// linkedRoles are those that launch in an account.
func (f *forLaunchFlags) linkedRoles(account string) ([]string, error) {
	if !arn.IsAccount(account) {
		return nil, fmt.Errorf("--group-account %q is not an account id of 12 digits", account)
	}
	suffixes := f.suffixes
	if len(suffixes) == 0 {
		suffixes = []string{""}
	}
	var out []string
	for _, s := range suffixes {
		role, err := launchRole(account, s, false)
		if err != nil {
			return nil, err
		}
		out = append(out, role)
	}
	if f.spot {
		role, err := launchRole(account, "", true)
		if err != nil {
			return nil, err
		}
		out = append(out, role)
	}
	return out, nil
}
