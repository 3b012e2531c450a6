package main

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/policy"
	"github.com/kagimori/kagimori/internal/policy/keyview"
)

// An editor is a command that edits a key policy.
type editor struct {
	use, short, long, example string
	// flags registers what else the command takes.
	flags func(*editFlags, *cobra.Command)
	// edit makes the edit for the arguments after the file.
	edit func(*editFlags, *keyview.Policy, []string) (*keyview.Policy, error)
	// more is what has to be said beside the policy, or nil.
	more func(*editFlags, *keyview.Policy, []string) ([]string, error)
	args cobra.PositionalArgs
}

// editFlags are the flags of the commands that edit a key policy. Not every command has all.
type editFlags struct {
	write                                bool
	usage, account, suffix, role, keyARN string
	spot, least, console, mayNot         bool
}

const editLong = `

FILE is a key policy; the file - is standard input. The new policy goes to standard output, or with --write into the
file. Every byte that the edit does not concern stays as it is: other statements, their order, the layout. An edit
that is already made changes nothing. What there is to say besides goes to standard error.`

// editors are the commands. Source of what they write: KMS Developer Guide, "Default key policy";
// Amazon EC2 Auto Scaling User Guide, "Required AWS KMS key policy for use with encrypted volumes".
func editors() []editor {
	principals := cobra.MinimumNArgs(2)
	each := func(edit func(*keyview.Policy, string) (*keyview.Policy, error)) func(*editFlags, *keyview.Policy, []string) (*keyview.Policy, error) {
		return func(_ *editFlags, p *keyview.Policy, names []string) (_ *keyview.Policy, err error) {
			for _, name := range names {
				if p, err = edit(p, name); err != nil {
					return nil, err
				}
			}
			return p, nil
		}
	}
	return []editor{
		{
			use: "add-autoscaling FILE", short: "Let Auto Scaling launch on volumes under a key",
			long: `add-autoscaling adds the two statements that let the service-linked role of Auto Scaling launch instances on volumes that
are encrypted under the key. The role is in the key's account: for another account see add-external-account.`,
			example: "  kagimori policy add-autoscaling --write key-policy.json\n" +
				"  kagimori policy add-autoscaling --account 111122223333 --suffix web key-policy.json\n" +
				"  aws kms get-key-policy --key-id alias/app --query Policy --output text | kagimori policy add-autoscaling - > new.json",
			flags: func(f *editFlags, cmd *cobra.Command) {
				f.roleFlags(cmd, "the key's account, if its policy does not tell")
				cmd.Flags().BoolVar(&f.least, "least", false, "only the actions that launches ask for, in the place of those that AWS's page lists")
			},
			edit: (*editFlags).addAutoScaling, args: cobra.ExactArgs(1),
		},
		{
			use: "remove-autoscaling FILE", short: "Undo add-autoscaling",
			long:    "remove-autoscaling takes the statements of add-autoscaling away.",
			example: "  kagimori policy remove-autoscaling --write key-policy.json",
			flags: func(f *editFlags, cmd *cobra.Command) {
				f.roleFlags(cmd, "the key's account, if its policy does not tell")
			},
			edit: func(f *editFlags, p *keyview.Policy, _ []string) (*keyview.Policy, error) {
				role, err := f.linkedRole(p)
				if err != nil {
					return nil, err
				}
				return p.RemoveLinkedRole(role)
			},
			args: cobra.ExactArgs(1),
		},
		{
			use: "add-key-user FILE PRINCIPAL...", short: "Make users or roles key users, as AWS's console does",
			long: `add-key-user adds users, roles or accounts to the key users of the default view of AWS's console: they may use the key
themselves, and let services of AWS use it for their resources. A service-linked role of Auto Scaling added this way
can launch.`,
			example: "  kagimori policy add-key-user --write key-policy.json arn:aws:iam::111122223333:role/app\n" +
				"  kagimori policy add-key-user --usage sign-verify key-policy.json arn:aws:iam::111122223333:role/signer",
			flags: (*editFlags).usageFlag, args: principals,
			edit: func(f *editFlags, p *keyview.Policy, names []string) (*keyview.Policy, error) {
				return each(func(p *keyview.Policy, name string) (*keyview.Policy, error) {
					return p.AddUser(name, keyview.Usage(f.usage))
				})(f, p, names)
			},
		},
		{
			use: "remove-key-user FILE PRINCIPAL...", short: "Undo add-key-user",
			long:    "remove-key-user takes users, roles or accounts out of the key users of AWS's console.",
			example: "  kagimori policy remove-key-user --write key-policy.json arn:aws:iam::111122223333:role/app",
			edit:    each((*keyview.Policy).RemoveUser), args: principals,
		},
		{
			use: "add-key-administrator FILE PRINCIPAL...", short: "Make users or roles key administrators, as AWS's console does",
			long: `add-key-administrator adds users or roles to the key administrators of the default view of AWS's console, who manage the
key and may not use it. The first one may delete the key; see allow-delete.`,
			example: "  kagimori policy add-key-administrator --write key-policy.json arn:aws:iam::111122223333:role/security",
			edit:    each((*keyview.Policy).AddAdministrator), args: principals,
		},
		{
			use: "remove-key-administrator FILE PRINCIPAL...", short: "Undo add-key-administrator",
			long:    "remove-key-administrator takes users or roles out of the key administrators of AWS's console.",
			example: "  kagimori policy remove-key-administrator --write key-policy.json arn:aws:iam::111122223333:role/security",
			edit:    each((*keyview.Policy).RemoveAdministrator), args: principals,
		},
		{
			use: "allow-delete FILE", short: "Say whether key administrators may delete a key",
			long:    `allow-delete is the box "Allow key administrators to delete this key" of AWS's console.`,
			example: "  kagimori policy allow-delete --write key-policy.json\n  kagimori policy allow-delete --not key-policy.json",
			flags: func(f *editFlags, cmd *cobra.Command) {
				cmd.Flags().BoolVar(&f.mayNot, "not", false, "they may not delete it")
			},
			edit: func(f *editFlags, p *keyview.Policy, _ []string) (*keyview.Policy, error) {
				return p.AllowDelete(!f.mayNot)
			},
			args: cobra.ExactArgs(1),
		},
		{
			use: "add-external-account FILE ACCOUNT", short: "Let another account use a key",
			long: `add-external-account adds the two statements that let another account use the key: who there may do so is said by IAM
policies of that account. A service-linked role cannot be given any, so that a launch by Auto Scaling there also
needs a grant: the command that makes it, and the policy of who runs the command, are told on standard error.`,
			example: "  kagimori policy add-external-account --write key-policy.json 111122223333\n" +
				"  kagimori policy add-external-account --key arn:aws:kms:us-west-2:444455556666:key/KEYID key-policy.json 111122223333\n" +
				"  kagimori policy add-external-account --console key-policy.json 111122223333   # among the key users",
			flags: func(f *editFlags, cmd *cobra.Command) {
				cmd.Flags().StringVar(&f.keyARN, "key", "", "`ARN` of the key, for what is told")
				cmd.Flags().StringVar(&f.suffix, "suffix", "", "`SUFFIX` of the service-linked role of Auto Scaling there, for what is told")
				cmd.Flags().BoolVar(&f.spot, "spot", false, "tell of the role for Spot Instances of launch configurations")
				cmd.Flags().BoolVar(&f.console, "console", false, "add the account to the key users, as AWS's console does")
				f.usageFlag(cmd)
			},
			edit: func(f *editFlags, p *keyview.Policy, args []string) (*keyview.Policy, error) {
				if f.console {
					return p.AddAccount(args[0], keyview.Usage(f.usage))
				}
				return p.ShareWithAccount(args[0])
			},
			more: (*editFlags).tellOfGrant, args: cobra.ExactArgs(2),
		},
		{
			use: "remove-external-account FILE ACCOUNT", short: "Undo add-external-account",
			long: `remove-external-account takes the statements of add-external-account away, and the account out of the key users. Grants
stay: see aws kms list-grants and revoke-grant.`,
			example: "  kagimori policy remove-external-account --write key-policy.json 111122223333",
			edit: func(_ *editFlags, p *keyview.Policy, args []string) (*keyview.Policy, error) {
				if !arn.IsAccount(args[0]) {
					return nil, fmt.Errorf("%q is not an account id of 12 digits", args[0])
				}
				p, err := p.UnshareWithAccount(args[0])
				if err != nil {
					return nil, err
				}
				return p.RemoveAccount(args[0])
			},
			args: cobra.ExactArgs(2),
		},
	}
}

// command makes the command of an editor.
func (e editor) command(io stdio) *cobra.Command {
	var f editFlags
	cmd := &cobra.Command{
		Use: e.use, Short: e.short, Long: e.long + editLong, Example: e.example, Args: e.args,
		RunE: func(_ *cobra.Command, args []string) error { return e.run(&f, io, args) },
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().BoolVarP(&f.write, "write", "w", false, "write the file instead of printing the policy")
	if e.flags != nil {
		e.flags(&f, cmd)
	}
	return cmd
}

func (e editor) run(f *editFlags, io stdio, args []string) error {
	name := args[0]
	if name == "-" && f.write {
		return errors.New("--write is for files, not for standard input")
	}
	src, err := readDocument(io, name)
	if err != nil {
		return err
	}
	before, err := parseKeyPolicy(name, src)
	if err != nil {
		return err
	}
	after, cause := e.edit(f, before, args[1:])
	if cause != nil {
		err := errors.New(strings.TrimPrefix(cause.Error(), "keyview: "))
		if errors.Is(cause, keyview.ErrNoAdministrators) {
			return failed(fmt.Errorf("%s: %w", shown(name), err))
		}
		return err
	}
	var notes []string
	if e.more != nil {
		if notes, err = e.more(f, before, args[1:]); err != nil {
			return err
		}
	}
	out := after.Bytes()
	if len(out) > policy.MaxKeyPolicySize {
		return failed(fmt.Errorf("%s: the policy would have %d bytes; KMS takes %d", shown(name), len(out), policy.MaxKeyPolicySize))
	}
	for _, text := range after.Notes() {
		fmt.Fprintf(io.err, "kagimori: %s: %s\n", shown(name), text)
	}
	for _, sid := range after.RepeatedSids() {
		fmt.Fprintf(io.err, "kagimori: %s: several statements have the Sid %q\n", shown(name), sid)
	}
	same := bytes.Equal(src, out)
	if same {
		fmt.Fprintf(io.err, "kagimori: %s: nothing to change\n", shown(name))
	}
	if !f.write {
		_, err = io.out.Write(out)
	} else if !same {
		err = replaceFile(name, out)
	}
	for _, text := range notes {
		fmt.Fprintln(io.err, text)
	}
	return failed(err)
}

// parseKeyPolicy reads a key policy, and says where it is wrong if it is none.
func parseKeyPolicy(name string, src []byte) (*keyview.Policy, error) {
	p, err := keyview.Parse(src)
	if e, ok := errors.AsType[*policy.SyntaxError](err); ok {
		return nil, unreadable(fmt.Errorf("%s:%d:%d: %s", shown(name), e.Line, e.Column, e.Reason))
	}
	if err != nil {
		return nil, unreadable(fmt.Errorf("%s: %w", shown(name), err))
	}
	return p, nil
}

func (f *editFlags) usageFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.usage, "usage", string(keyview.Symmetric), "what a new statement is for: `USAGE` of the key is symmetric, rsa, sign-verify, key-agreement or mac")
}

func (f *editFlags) roleFlags(cmd *cobra.Command, account string) {
	cmd.Flags().StringVar(&f.account, "account", "", "`ID` of "+account)
	cmd.Flags().StringVar(&f.suffix, "suffix", "", "`SUFFIX` of the role, if it is not the default one")
	cmd.Flags().BoolVar(&f.spot, "spot", false, "the role for Spot Instances of launch configurations")
	cmd.Flags().StringVar(&f.role, "role", "", "`ARN` of the service-linked role, in the place of all these")
}

func (f *editFlags) addAutoScaling(p *keyview.Policy, _ []string) (*keyview.Policy, error) {
	role, err := f.linkedRole(p)
	if err != nil {
		return nil, err
	}
	if f.least {
		return p.AddLinkedRoleLeast(role)
	}
	return p.AddLinkedRole(role)
}

// linkedRole is the role that the flags mean.
func (f *editFlags) linkedRole(p *keyview.Policy) (string, error) {
	if f.role != "" {
		if f.account+f.suffix != "" || f.spot {
			return "", errors.New("--role excludes --account, --suffix and --spot")
		}
		return f.role, nil
	}
	account := f.account
	if account == "" {
		owner, ok := p.Owner()
		if !ok {
			return "", errors.New("the policy does not tell whose the key is: --account or --role is missing")
		}
		account = owner
	}
	return launchRole(account, f.suffix, f.spot)
}

// launchRole is the service-linked role that launches: of Auto Scaling, or of EC2 for Spot
// Instances of launch configurations.
func launchRole(account, suffix string, spot bool) (string, error) {
	switch {
	case !arn.IsAccount(account):
		return "", fmt.Errorf("--account %q is not an account id of 12 digits", account)
	case spot && suffix != "":
		return "", errors.New("the role for Spot Instances has no suffix")
	case spot:
		return arn.Role(account, arn.ServiceLinkedPath("spot.amazonaws.com"), "AWSServiceRoleForEC2Spot"), nil
	case suffix != "":
		suffix = "_" + suffix
	}
	return arn.Role(account, arn.ServiceLinkedPath("autoscaling.amazonaws.com"), "AWSServiceRoleForAutoScaling"+suffix), nil
}

// tellOfGrant says what else a launch in another account needs.
func (f *editFlags) tellOfGrant(p *keyview.Policy, args []string) ([]string, error) {
	role, err := launchRole(args[0], f.suffix, f.spot)
	if err != nil {
		return nil, err
	}
	owner, ok := p.Owner()
	if !ok {
		owner = "OWNER"
	}
	return grantTold(role, args[0], owner, f.keyARN)
}

// grantTold says how a service-linked role of an account gets a grant on another account's key.
func grantTold(role, account, owner, keyARN string) (_ []string, err error) {
	key := arn.ARN{Partition: arn.Partition, Service: "kms", Region: "REGION", Account: owner, Resource: "key/KEY-ID"}
	if keyARN != "" {
		if key, err = arn.Parse(keyARN); err != nil || key.Service != "kms" || key.Type() != "key" {
			return nil, fmt.Errorf("--key %q is not the ARN of a key", keyARN)
		}
	}
	return []string{
		"Auto Scaling in account " + account + " also needs a grant. Somebody there runs, once the policy is in force and the role exists:\n",
		keyview.GrantCommand(key, role),
		"\nand needs for that, in an IAM policy:\n",
		string(keyview.RequesterPolicy(key)),
	}, nil
}

// newPolicyView makes the command that shows a policy as AWS's console does.
func newPolicyView(io stdio) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use: "view FILE", Short: "Show a key policy as the default view of AWS's console does",
		Long: `view lists the key administrators, the key users and the other accounts of a key policy, and which statements are
others than those of the console. The file - is standard input.`,
		Example: "  kagimori policy view key-policy.json\n  kagimori policy view --format json key-policy.json | jq -r '.users[]'",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if format != "text" && format != "json" {
				return fmt.Errorf("--format %q is neither text nor json", format)
			}
			src, err := readDocument(io, args[0])
			if err != nil {
				return err
			}
			p, err := parseKeyPolicy(args[0], src)
			if err != nil {
				return err
			}
			return failed(writeView(io, p, format))
		},
	}
	cmd.Flags().StringVar(&format, "format", "text", "`FORMAT` of the answer: text or json")
	return cmd
}

func writeView(io stdio, p *keyview.Policy, format string) error {
	v := p.View()
	if format == "json" {
		out, err := plainJSON(v)
		if err == nil {
			_, err = fmt.Fprint(io.out, out)
		}
		return err
	}
	_, err := io.out.Write([]byte(viewText(p, v)))
	return err
}

// viewText is a view for people.
func viewText(p *keyview.Policy, v keyview.View) string {
	var b strings.Builder
	list := func(title string, names []string) {
		if len(names) == 0 {
			fmt.Fprintf(&b, "%s: none\n", strings.TrimSuffix(strings.TrimSuffix(title, ", who may delete the key"), ", who may not delete the key"))
			return
		}
		fmt.Fprintf(&b, "%s:\n", title)
		for _, n := range names {
			fmt.Fprintf(&b, "  %s%s\n", n, remark(v, n))
		}
	}
	title := "Key administrators, who may not delete the key"
	if v.MayDelete {
		title = "Key administrators, who may delete the key"
	}
	list(title, v.Administrators)
	list("Key users", v.Users)
	list("Other accounts", v.Accounts)
	if v.Root {
		fmt.Fprintln(&b, "IAM policies of the account can allow more.")
	}
	for _, i := range v.Other {
		sid := ""
		if s := p.Sid(i); s != "" {
			sid = fmt.Sprintf(" (%q)", s)
		}
		fmt.Fprintf(&b, "Statement %d%s is none of the console's.\n", i+1, sid)
	}
	if len(v.Other) > 0 {
		fmt.Fprintln(&b, "So the console shows the policy as text, without its default view.")
	}
	return b.String()
}

// remark is what there is to say of one name of a view.
func remark(v keyview.View, name string) string {
	switch {
	case slices.Contains(v.UseOnly, name):
		return ": may use the key, and not let services of AWS use it"
	case slices.Contains(v.GrantsOnly, name):
		return ": may let services of AWS use the key, and not use it"
	case policy.IsUniqueID(name):
		return ": the unique id of a principal that was deleted"
	}
	return ""
}
