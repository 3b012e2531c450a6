package lint

import (
	"io"
	"net/url"
	"path/filepath"
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
		Tool       sarifTool     `json:"tool"`
		ColumnKind string        `json:"columnKind"`
		Results    []sarifResult `json:"results"`
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
		ID                   string      `json:"id"`
		ShortDescription     sarifText   `json:"shortDescription"`
		DefaultConfiguration sarifConfig `json:"defaultConfiguration"`
	}
	sarifConfig struct {
		Level string `json:"level"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifResult struct {
		RuleID    string          `json:"ruleId"`
		RuleIndex int             `json:"ruleIndex"`
		Level     string          `json:"level"`
		Message   sarifText       `json:"message"`
		Locations []sarifLocation `json:"locations"`
	}
	sarifLocation struct {
		Physical sarifPhysical  `json:"physicalLocation"`
		Logical  []sarifLogical `json:"logicalLocations,omitempty"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   sarifRegion   `json:"region"`
	}
	sarifArtifact struct {
		URI string `json:"uri"`
	}
	sarifRegion struct {
		StartLine   int `json:"startLine"`
		StartColumn int `json:"startColumn"`
		EndLine     int `json:"endLine"`
		EndColumn   int `json:"endColumn"`
	}
	sarifLogical struct {
		Name string `json:"name,omitempty"`
		Kind string `json:"kind"`
		Full string `json:"fullyQualifiedName"`
	}
)

// WriteSARIF writes results in SARIF 2.1.0. The levels of SARIF are our severities. version is the
// program's.
func WriteSARIF(w io.Writer, version string, results []Result) error {
	run := sarifRun{
		Tool: sarifTool{sarifDriver{Name: "kagimori", Version: version}}, ColumnKind: "unicodeCodePoints", Results: []sarifResult{},
	}
	index := map[string]int{}
	for i, r := range Rules() {
		index[r.ID] = i
		run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRule{r.ID, sarifText{r.Summary + "."}, sarifConfig{r.Severity.String()}})
	}
	for _, r := range results {
		for _, f := range r.Findings {
			run.Results = append(run.Results, f.sarif(r.File, index[f.Rule]))
		}
	}
	return writeJSON(w, sarifLog{Schema: "https://json.schemastore.org/sarif-2.1.0.json", Version: "2.1.0", Runs: []sarifRun{run}})
}

func (f *Finding) sarif(file string, rule int) sarifResult {
	at := sarifLocation{Physical: sarifPhysical{
		sarifArtifact{uri(file)}, sarifRegion{f.Range.Start.Line, f.Range.Start.Column, f.Range.End.Line, f.Range.End.Column},
	}}
	if f.Statement > 0 {
		at.Logical = []sarifLogical{{Name: f.Sid, Kind: "element", Full: "Statement[" + itoa(f.Statement-1) + "]"}}
	}
	return sarifResult{f.Rule, rule, f.Severity.String(), sarifText{f.Reason.String() + " " + f.Fix.String()}, []sarifLocation{at}}
}

// uri is a file's name as a relative or absolute URI reference.
func uri(file string) string {
	u := url.URL{Path: filepath.ToSlash(file)}
	if filepath.IsAbs(file) {
		u.Scheme = "file"
	}
	return u.String()
}
