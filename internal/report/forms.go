package report

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	"github.com/kagimori/kagimori/internal/doctor"
	"github.com/kagimori/kagimori/internal/remedy"
	"github.com/kagimori/kagimori/internal/speech"
)

// A Checked is an item with its findings.
type Checked struct {
	*Item
	Findings []Finding
}

// message are the sentences that tell of a finding: what, why, what is seen and what helps.
func (c *Checked) message(f *Finding, style Style) []string {
	l := style.Language
	if f.Level != Error {
		return []string{f.Scenario + ": " + f.Message.In(l)}
	}
	out := []string{f.Scenario + ": " + speech.Say("%s.", f.Message).In(l)}
	detail := f.Detail
	if len(detail) > 3 && !style.Verbose {
		detail = detail[:3]
	}
	out = append(out, speech.All(l, detail)...)
	if s := c.Report.Symptom; s != nil {
		out = append(out, speech.Say("You will see: %s", Sight(s)).In(l))
	}
	if c.Report.Fix != nil {
		out = append(out, speech.Say("%s: %s", speech.Say("Fix"), c.Report.Fix.Summary).In(l))
	}
	return out
}

// GitHub writes a line for each finding that GitHub shows beside the code.
//
// Source: GitHub Docs, "Workflow commands for GitHub Actions", setting an error message.
func GitHub(w io.Writer, all []Checked, style Style) error {
	for _, c := range all {
		names := c.names()
		for i := range c.Findings {
			f := &c.Findings[i]
			level := f.Level.String()
			if f.Accepted != nil || f.Level == Note {
				level = "notice"
			}
			if err := annotation(w, level, f.Place, "kagimori "+f.Code, names.Replace(strings.Join(c.message(f, style), "\n"))); err != nil {
				return err
			}
		}
	}
	return nil
}

// annotation writes one line for GitHub.
func annotation(w io.Writer, level string, at Place, title, text string) error {
	value := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	property := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
	_, err := fmt.Fprintf(w, "::%s file=%s,line=%d,title=%s::%s\n", level, property.Replace(at.File), at.Line, property.Replace(title), value.Replace(text))
	return err
}

// The parts of JUnit's reports that are written.
//
// Source: the schema of Apache Ant's junitreport, which CI systems read.
type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Errors   int          `xml:"errors,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Errors   int         `xml:"errors,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Class   string       `xml:"classname,attr"`
		Name    string       `xml:"name,attr"`
		Time    string       `xml:"time,attr,omitempty"`
		Failure *junitResult `xml:"failure"`
		Error   *junitResult `xml:"error"`
		Skipped *junitResult `xml:"skipped"`
		Out     string       `xml:"system-out,omitempty"`
	}
	junitResult struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr,omitempty"`
		Text    string `xml:",chardata"`
	}
)

// JUnit writes a test case for each item: it fails if the launch does, and is an error if that cannot
// be told.
func JUnit(w io.Writer, all []Checked, style Style) error {
	var cases []junitCase
	for _, c := range all {
		names := c.names()
		n := junitCase{Class: c.File, Name: c.Report.ID}
		for _, level := range []Level{Error, Undecided, Warning, Note} {
			var lines []string
			code := ""
			for i := range c.Findings {
				f := &c.Findings[i]
				text := strings.Join(c.message(f, style), "\n")
				switch {
				case f.Level != level:
				case f.Accepted != nil || level <= Warning:
					n.Out += names.Replace(text) + "\n"
				default:
					lines = append(lines, names.Replace(text))
					if code == "" {
						code = f.Code
					}
				}
			}
			if lines == nil {
				continue
			}
			first, _, _ := strings.Cut(lines[0], "\n")
			result := &junitResult{first, code, strings.Join(lines, "\n\n")}
			if level == Error {
				n.Failure = result
			} else if n.Failure == nil {
				n.Error = result
			}
		}
		cases = append(cases, n)
	}
	return writeJUnit(w, cases)
}

// writeJUnit puts the cases of a class into a suite.
func writeJUnit(w io.Writer, cases []junitCase) error {
	var out junitSuites
	for _, c := range cases {
		if n := len(out.Suites); n == 0 || out.Suites[n-1].Name != c.Class {
			out.Suites = append(out.Suites, junitSuite{Name: c.Class})
		}
		s := &out.Suites[len(out.Suites)-1]
		s.Cases = append(s.Cases, c)
		s.Tests, out.Tests = s.Tests+1, out.Tests+1
		if c.Failure != nil {
			s.Failures, out.Failures = s.Failures+1, out.Failures+1
		}
		if c.Error != nil {
			s.Errors, out.Errors = s.Errors+1, out.Errors+1
		}
	}
	text, err := xml.MarshalIndent(out, "", "  ")
	if err != nil {
		return err
	}
	_, err = w.Write(append([]byte(xml.Header), append(text, '\n')...))
	return err
}

// Marker is the first line of a comment, by which a later run finds it.
const Marker = "<!-- kagimori check -->"

// Markdown writes a comment for a pull request.
func Markdown(w io.Writer, all []Checked, style Style) error {
	l := style.Language
	var b strings.Builder
	say := func(t speech.Text) string { return t.In(l) }
	fmt.Fprintf(&b, "%s\n## kagimori: %s\n\n", Marker, say(speech.Say("will it launch?")))
	if len(all) == 0 {
		b.WriteString(say(speech.Say("Nothing is launched.")) + "\n")
	} else {
		fmt.Fprintf(&b, "| | %s | %s |\n|---|---|---|\n", say(speech.Say("launch")), say(speech.Say("verdict")))
	}
	for _, c := range all {
		mark := map[doctor.Verdict]string{doctor.Launches: "✅", doctor.Fails: "❌", doctor.CannotTell: "❔"}[Told(c.Report, c.Findings)]
		verdict := say(Verdict(c.Report.Told()))
		if len(c.Report.Failures) > 0 {
			verdict += ": " + code(c.Report.Failures[0].Rule)
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", mark, code(c.Report.ID), verdict)
	}
	for i := range all {
		b.WriteString(all[i].section(style))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// code is a text as code in a line of Markdown, also in a table.
func code(s string) string {
	return "`" + strings.NewReplacer("`", "'", "|", "\\|", "\n", " ").Replace(s) + "`"
}

// section is what is to be said of an item that does not simply launch.
func (c *Checked) section(style Style) string {
	if len(c.Findings) == 0 {
		return ""
	}
	l := style.Language
	var b strings.Builder
	fmt.Fprintf(&b, "\n### %s\n\n", code(c.Report.ID))
	for i := range c.Findings {
		f := &c.Findings[i]
		mark := map[Level]string{Error: "❌", Undecided: "❔", Warning: "⚠️", Note: "ℹ️"}[f.Level]
		fmt.Fprintf(&b, "- %s **%s** %s", mark, code(f.Code), escape(f.Message.In(l)))
		if f.Resource != "" || f.Place.File != "" {
			fmt.Fprintf(&b, " (%s)", code(strings.TrimSpace(f.Resource+" "+fmt.Sprintf("%s:%d", f.Place.File, f.Place.Line))))
		}
		b.WriteString("\n")
		if f.Accepted != nil {
			b.WriteString("  - " + escape(speech.Say("Accepted until %s: %s (%s)", f.Accepted.Until, f.Code, f.Accepted.Reason).In(l)) + "\n")
		}
		for _, t := range f.Detail {
			b.WriteString("  - " + escape(t.In(l)) + "\n")
		}
	}
	if c.Report.Symptom != nil {
		b.WriteString("\n" + escape(speech.Say("You will see: %s", Sight(c.Report.Symptom)).In(l)) + "\n")
	}
	if c.Report.Fix != nil {
		c.remedies(&b, style)
	} else if c.Report.Told() == doctor.Fails {
		b.WriteString("\n" + speech.Say("No change of policies, grants or templates that kagimori knows of would help.").In(l) + "\n")
	}
	return c.names().Replace(b.String())
}

// remedies are the fix, and its alternatives folded away.
func (c *Checked) remedies(b *strings.Builder, style Style) {
	fence := map[remedy.Form]string{remedy.AWS: "sh", remedy.Terraform: "hcl", remedy.CloudFormation: "yaml", remedy.Patch: "json"}
	forms := formsFor(c.Item, style)
	one := func(p *doctor.Proposal) {
		for _, t := range p.Opens {
			b.WriteString("- " + escape(speech.Say("Also opens: %s", t).In(style.Language)) + "\n")
		}
		for _, f := range forms {
			text, err := write(c.Item, p, f, style)
			if err == nil {
				fmt.Fprintf(b, "\n```%s\n%s```\n", fence[f], text)
			}
		}
	}
	fmt.Fprintf(b, "\n**%s**: %s\n\n", speech.Say("Fix").In(style.Language), escape(c.Report.Fix.Summary.In(style.Language)))
	one(&c.Report.Fix.Proposal)
	for i := range c.Report.Fix.Alternatives {
		p := &c.Report.Fix.Alternatives[i]
		fmt.Fprintf(b, "\n<details><summary>%s: %s</summary>\n\n", speech.Say("Or").In(style.Language), escape(p.Summary.In(style.Language)))
		one(p)
		b.WriteString("\n</details>\n")
	}
}

// escape keeps a text from meaning something in Markdown or HTML.
func escape(s string) string {
	return strings.NewReplacer("<", "&lt;", ">", "&gt;", "*", "\\*", "_", "\\_", "`", "\\`", "|", "\\|", "\n", " ").Replace(s)
}
