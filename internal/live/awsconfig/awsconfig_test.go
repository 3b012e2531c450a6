package awsconfig_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/live"
	"github.com/kagimori/kagimori/internal/live/awsconfig"
	"github.com/kagimori/kagimori/internal/testkit"
)

const role = "arn:aws:iam::444455556666:role/audit"

// configure writes configuration and credentials files and has only them apply.
func configure(t *testing.T, text string) {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(dir, "config"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(dir, "none"))
	if err := os.WriteFile(filepath.Join(dir, "config"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestProfilesAndRolesAreAccounts opens two profiles and a role that is assumed with the first, on
// endpoints from the flag, from a profile and from a profile's services.
func TestProfilesAndRolesAreAccounts(t *testing.T) {
	s := testkit.Start(t, testkit.Options{})
	trust := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:root"},"Action":"sts:AssumeRole"}]}`
	testkit.Call[iamapi.CreateRoleResponse](s.As(testkit.Admin("444455556666")).IAM, "CreateRole", &iamapi.CreateRoleRequest{RoleName: new("audit"), AssumeRolePolicyDocument: &trust})
	keys := func(account string) string {
		return "aws_access_key_id = " + account + "ADMIN\naws_secret_access_key = test\nregion = eu-west-1\n"
	}
	configure(t, "[profile web]\n"+keys("111122223333")+"endpoint_url = "+s.URL+"\n"+
		"[profile keys]\n"+keys("210987654321")+"services = local\n[services local]\nsts =\n  endpoint_url = "+s.URL+"/\n"+
		"[profile bare]\n"+keys("111122223333"))
	for name, o := range map[string]awsconfig.Options{
		"endpoints of profiles": {Profiles: []string{"web", "keys"}, Roles: []string{role}},
		"of the flag":           {Profiles: []string{"bare", "keys"}, Roles: []string{role}, Endpoint: s.URL},
	} {
		accesses, err := awsconfig.Load(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		if len(accesses) != 3 || accesses[0].Region != "eu-west-1" || accesses[2].Name != "role "+role {
			t.Fatalf("%s: %+v", name, accesses)
		}
		if _, err := live.Open(t.Context(), live.Config{Accesses: accesses}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	t.Setenv("AWS_PROFILE", "web")
	accesses, err := awsconfig.Load(t.Context(), awsconfig.Options{Region: "us-west-2"})
	if err != nil || len(accesses) != 1 || accesses[0].Name != "the default credentials" || accesses[0].Region != "us-west-2" || accesses[0].Endpoint("kms") != s.URL {
		t.Errorf("%+v, %v", accesses, err)
	}
}

func TestWhatIsConfiguredWrongIsSaid(t *testing.T) {
	configure(t, "[profile nowhere]\naws_access_key_id = a\naws_secret_access_key = b\n[profile empty]\nregion = eu-west-1\n")
	for name, tt := range map[string]struct {
		options awsconfig.Options
		want    string
	}{
		"no profile":        {awsconfig.Options{Profiles: []string{"nobody"}}, "nobody"},
		"no region":         {awsconfig.Options{Profiles: []string{"nowhere"}}, "no region"},
		"another partition": {awsconfig.Options{Profiles: []string{"nowhere"}, Region: "us-gov-west-1"}, "another partition"},
		"no role":           {awsconfig.Options{Profiles: []string{"empty"}, Roles: []string{"audit"}}, `"audit" is not the ARN of a role`},
	} {
		if _, err := awsconfig.Load(t.Context(), tt.options); !errors.Is(err, awsconfig.ErrConfig) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	accesses, err := awsconfig.Load(t.Context(), awsconfig.Options{Profiles: []string{"empty"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := live.Open(t.Context(), live.Config{Accesses: accesses}); !errors.Is(err, awsconfig.ErrConfig) {
		t.Errorf("no credentials: %v", err)
	}
}
