package iam

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/csv"
	"io"
	"strconv"
	"time"

	"github.com/kagimori/kagimori/internal/api/iamapi"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/arn"
	"github.com/kagimori/kagimori/internal/directory"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// A report is an account's last credential report.
type report struct {
	Made time.Time `json:"made"`
	Gzip []byte    `json:"gzip"` // CSV
}

var reports = store.Table[report]{Bucket: "iam/report", Version: 1} // (account)

// reportLife is how long a report serves before another one is made.
// Source: IAM User Guide, "Generate credential reports for your AWS account".
const reportLife = 4 * time.Hour

// GenerateCredentialReport makes a report unless there is a young one. It is done at once; the answer
// is that of AWS, where it takes a while.
func (s *Service) GenerateCredentialReport(ctx context.Context, c *guard.Call, _ *iamapi.GenerateCredentialReportRequest) (*iamapi.GenerateCredentialReportResponse, error) {
	now, young := s.now(), false
	err := s.g.View(ctx, c, func(tx store.Tx) error {
		if err := s.allowAll(tx, c, "GenerateCredentialReport"); err != nil {
			return err
		}
		r, ok, err := reports.Get(tx, c.Account())
		young = ok && now.Sub(r.Made) < reportLife
		return err
	})
	if err != nil {
		return nil, err
	}
	if young {
		return &iamapi.GenerateCredentialReportResponse{State: new(iamapi.ReportStateTypeCOMPLETE)}, nil
	}
	content, err := s.credentialReport(ctx, c.Account())
	if err != nil {
		return nil, err
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write(content); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	if err := s.g.Change(ctx, func(tx store.Tx) error { return reports.Put(tx, report{now, packed.Bytes()}, c.Account()) }); err != nil {
		return nil, err
	}
	return &iamapi.GenerateCredentialReportResponse{
		State: new(iamapi.ReportStateTypeSTARTED), Description: new("No report exists. Starting a new report generation task"),
	}, nil
}

// GetCredentialReport gives the last report.
func (s *Service) GetCredentialReport(ctx context.Context, c *guard.Call, _ *iamapi.GetCredentialReportRequest) (*iamapi.GetCredentialReportResponse, error) {
	var r report
	err := s.g.View(ctx, c, func(tx store.Tx) error {
		if err := s.allowAll(tx, c, "GetCredentialReport"); err != nil {
			return err
		}
		var ok bool
		var err error
		if r, ok, err = reports.Get(tx, c.Account()); err != nil {
			return err
		}
		switch {
		case !ok:
			return apierr.New("ReportNotPresent", "No report was found for this account. Please generate one.")
		case s.now().Sub(r.Made) >= reportLife:
			return apierr.New("ReportExpired", "The most recent credential report has expired. Please generate a new one.")
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	z, err := gzip.NewReader(bytes.NewReader(r.Gzip))
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(z)
	return &iamapi.GetCredentialReportResponse{Content: content, ReportFormat: new(iamapi.ReportFormatTypeTextCsv), GeneratedTime: &r.Made}, err
}

// reportHeader are the columns. Source: as reportLife.
var reportHeader = []string{
	"user", "arn", "user_creation_time", "password_enabled", "password_last_used", "password_last_changed", "password_next_rotation", "mfa_active",
	"access_key_1_active", "access_key_1_last_rotated", "access_key_1_last_used_date", "access_key_1_last_used_region", "access_key_1_last_used_service",
	"access_key_2_active", "access_key_2_last_rotated", "access_key_2_last_used_date", "access_key_2_last_used_region", "access_key_2_last_used_service",
	"cert_1_active", "cert_1_last_rotated", "cert_2_active", "cert_2_last_rotated",
}

const notHere = "N/A"

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05+00:00") }

// credentialReport writes a line for the root user and one for each user. It reads in batches: all of
// an account is more than one transaction may read.
func (s *Service) credentialReport(ctx context.Context, account string) ([]byte, error) {
	var people []directory.User
	var v settings
	err := s.g.Read(ctx, func(tx store.Tx) error {
		a, _, err := directory.Accounts.Get(tx, account)
		if err != nil {
			return err
		}
		if v, _, err = settingsTable.Get(tx, account); err != nil {
			return err
		}
		people = []directory.User{{Account: account, Created: a.Created}}
		for r, err := range s.dir.Users(tx, account, "") {
			if err != nil {
				return err
			}
			people = append(people, r.Value)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if root := &people[0]; root.Created.IsZero() { // of a development server's account: no later than its first user
		root.Created = s.now()
		for _, u := range people[1:] {
			if u.Created.Before(root.Created) {
				root.Created = u.Created
			}
		}
	}
	var buf bytes.Buffer
	w := csv.NewWriter(&buf)
	w.Write(reportHeader) // errors stay in w
	const batch = 10
	for len(people) > 0 {
		some := people[:min(batch, len(people))]
		people = people[len(some):]
		var lines [][]string
		err := s.g.Read(ctx, func(tx store.Tx) error {
			lines = nil
			for _, u := range some {
				line, err := s.reportLine(tx, v.Password, u)
				if err != nil {
					return err
				}
				lines = append(lines, line)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		for _, line := range lines {
			w.Write(line)
		}
	}
	w.Flush()
	return buf.Bytes(), w.Error()
}

// reportLine is the line of a user, or of the root user, who has no name. The account's rules for
// passwords may be nil.
func (s *Service) reportLine(tx store.Tx, rules *iamapi.PasswordPolicy, u directory.User) ([]string, error) {
	o := owner{account: u.Account, name: u.Name, id: u.ID}
	b, _, err := belongingsTable.Get(tx, o.key()...)
	if err != nil {
		return nil, err
	}
	line := []string{u.Name, u.ARN(), stamp(u.Created), "false", notHere, notHere, notHere, strconv.FormatBool(len(b.MFA) > 0)}
	if u.ID == "" {
		line = []string{"<root_account>", arn.Root(u.Account), stamp(u.Created), "not_supported", "no_information", "not_supported", "not_supported", strconv.FormatBool(len(b.MFA) > 0)}
	} else if b.Login != nil {
		changed := b.Login.Changed
		if changed.IsZero() {
			changed = b.Login.Created
		}
		line[3], line[4], line[5] = "true", "no_information", stamp(changed)
		if rules != nil && rules.MaxPasswordAge != nil {
			line[6] = stamp(changed.AddDate(0, 0, int(*rules.MaxPasswordAge)))
		}
	}
	keys, err := s.dir.UserAccessKeys(tx, u.Account, u.Name)
	if err != nil {
		return nil, err
	}
	for i := range maxAccessKeys {
		cols := []string{"false", notHere, notHere, notHere, notHere}
		if i < len(keys) {
			cols[0], cols[1] = strconv.FormatBool(!keys[i].Inactive), stamp(keys[i].Created)
			if use, ok, err := s.dir.KeyUse(tx, keys[i].ID); err != nil {
				return nil, err
			} else if ok {
				cols[2], cols[3], cols[4] = stamp(use.At), use.Region, use.Service
			}
		}
		line = append(line, cols...)
	}
	for i := range maxSigning {
		cols := []string{"false", notHere}
		if i < len(b.Certificates) {
			cols[0], cols[1] = strconv.FormatBool(!b.Certificates[i].Inactive), stamp(b.Certificates[i].Uploaded)
		}
		line = append(line, cols...)
	}
	return line, nil
}

func number32(n int32) string { return strconv.Itoa(int(n)) }
