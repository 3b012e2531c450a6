package tour

import (
	"fmt"
	"strings"
)

// say prints one line; the first failure is kept for the end.
func (t *traveller) say(format string, args ...any) {
	if _, err := fmt.Fprintf(t.Out, format+"\n", args...); err != nil && t.err == nil {
		t.err = fmt.Errorf("tour: %w", err)
	}
}

// chapter begins an example.
func (t *traveller) chapter(title string) {
	t.step = 0
	t.say("\n%s\n%s", title, strings.Repeat("-", len(title)))
}

// who says whose credentials the next commands use. secret is shown: only what is no secret.
func (t *traveller) who(p *party, what, secret string) {
	t.say("\n# as %s", what)
	t.say("$ export AWS_ENDPOINT_URL=%s AWS_DEFAULT_REGION=%s AWS_ACCESS_KEY_ID=%s AWS_SECRET_ACCESS_KEY=%s",
		t.Endpoint, t.Region, p.keyID, secret)
}

// begin names the next step.
func (t *traveller) begin(format string, args ...any) {
	t.step++
	t.say("\n%d. %s", t.step, fmt.Sprintf(format, args...))
}

// command prints an aws command line; words that a shell would take apart are quoted.
func (t *traveller) command(words ...string) {
	var b strings.Builder
	b.WriteString("$ aws")
	for _, w := range words {
		b.WriteByte(' ')
		if strings.ContainsAny(w, " \"{}[]*$&;'=<>") && !strings.HasPrefix(w, "--") || w == "" {
			w = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
		b.WriteString(w)
	}
	t.say("   %s", b.String())
}

// block prints text of several lines under what was told.
func (t *traveller) block(text string) {
	for line := range strings.Lines(text) {
		t.tell("     %s", strings.TrimRight(line, "\n"))
	}
}

// tell prints what came of a step.
func (t *traveller) tell(format string, args ...any) { t.say("   "+format, args...) }
