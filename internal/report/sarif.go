package report

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
)

// The parts of SARIF that are written.
//
// Source: OASIS, "Static Analysis Results Interchange Format (SARIF) Version 2.1.0".
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool     sarifTool     `json:"tool"`
		Language string        `json:"language"`
		Results  []sarifResult `json:"results"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name    string      `json:"name"`
		Version string      `json:"version,omitempty"`
		Rules   []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID    string    `json:"id"`
		Short sarifText `json:"shortDescription"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifResult struct {
		RuleID       string             `json:"ruleId"`
		RuleIndex    int                `json:"ruleIndex"`
		Level        string             `json:"level"`
		Message      sarifText          `json:"message"`
		Locations    []sarifLocation    `json:"locations"`
		Fingerprints map[string]string  `json:"partialFingerprints"`
		Suppressions []sarifSuppression `json:"suppressions,omitempty"`
	}
	sarifLocation struct {
		Physical sarifPhysical  `json:"physicalLocation"`
		Logical  []sarifLogical `json:"logicalLocations"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   sarifRegion   `json:"region"`
	}
	sarifArtifact struct {
		URI string `json:"uri"`
	}
	sarifRegion struct {
		StartLine int `json:"startLine"`
	}
	sarifLogical struct {
		Full string `json:"fullyQualifiedName"`
		Kind string `json:"kind"`
	}
	sarifSuppression struct {
		Kind          string `json:"kind"`
		Justification string `json:"justification"`
	}
)

// SARIF writes the findings of all items in SARIF 2.1.0.
func SARIF(w io.Writer, all []Checked, style Style) error {
	run := sarifRun{
		Tool: sarifTool{sarifDriver{Name: "kagimori", Version: style.Version, Rules: []sarifRule{}}}, Language: style.Language.String(), Results: []sarifResult{},
	}
	for _, c := range all {
		names := c.names()
		for i := range c.Findings {
			f := &c.Findings[i]
			rule := slices.IndexFunc(run.Tool.Driver.Rules, func(r sarifRule) bool { return r.ID == f.Code })
			if rule < 0 {
				rule = len(run.Tool.Driver.Rules)
				run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRule{f.Code, sarifText{Rule(f.Code).In(style.Language)}})
			}
			full := f.Scenario
			if f.Resource != "" {
				full = f.Resource
			}
			r := sarifResult{
				RuleID: f.Code, RuleIndex: rule, Level: f.Level.String(),
				Message: sarifText{names.Replace(strings.Join(c.message(f, style), " "))},
				Locations: []sarifLocation{{
					sarifPhysical{sarifArtifact{uri(f.Place.File)}, sarifRegion{f.Place.Line}}, []sarifLogical{{full, "resource"}},
				}},
				Fingerprints: map[string]string{"kagimori/v1": f.fingerprint()},
			}
			if f.Accepted != nil {
				r.Suppressions = []sarifSuppression{{"external", f.Accepted.Reason}}
			}
			run.Results = append(run.Results, r)
		}
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(sarifLog{Schema: "https://json.schemastore.org/sarif-2.1.0.json", Version: "2.1.0", Runs: []sarifRun{run}})
}

// fingerprint tells a finding from others, wherever it stands and in any language.
func (f *Finding) fingerprint() string {
	text := ""
	if f.Level != Error {
		text = f.Message.String()
	}
	sum := sha256.Sum256([]byte(strings.Join([]string{f.Scenario, f.Code, f.Template, f.Device, f.Principal, f.Action, f.Key, text}, "\x00")))
	return hex.EncodeToString(sum[:16])
}

// uri is a file's name as a relative or absolute URI reference.
func uri(file string) string {
	u := url.URL{Path: filepath.ToSlash(file)}
	if filepath.IsAbs(file) {
		u.Scheme = "file"
	}
	return u.String()
}
