package authz

import (
	"sync"

	"github.com/kagimori/kagimori/internal/policy"
)

// A Document is a policy made ready for evaluation, with its name in explanations. It is
// immutable and safe for concurrent use once it is shared. Make one with [Compile], or with a
// [Cache].
type Document struct {
	Name  string // ARN of a managed policy, name of an inline one, ARN of the key, ...
	Owner string // account whose evidence this is
	// Attached is the ARN of the principal, group, key, ... that the document hangs on.
	Attached string
	Source   *policy.Document
	// Unknown marks a document that exists but cannot be read; Source is then nil.
	Unknown bool

	kind     policy.Kind
	compiled *compiled
	text     string // what a Cache made it of
	ids      map[string]string
	bearers  map[string][]string // ARNs by unique id
}

// SetPrincipalIDs tells which unique ids the principal ARNs of the document had when it was
// saved. A principal of such an ARN with another unique id is not meant; a user with the id is
// meant even if it was renamed since. The map must not change afterwards.
func (d *Document) SetPrincipalIDs(ids map[string]string) {
	d.ids, d.bearers = ids, nil
	for who, id := range ids {
		if id == "" {
			continue
		}
		if d.bearers == nil {
			d.bearers = make(map[string][]string, len(ids))
		}
		d.bearers[id] = append(d.bearers[id], who)
	}
}

// PrincipalIDs are those that were set. They must not be changed.
func (d *Document) PrincipalIDs() map[string]string { return d.ids }

// idOf is the unique id that an ARN had, as far as it can matter to a caller.
func (d *Document) idOf(p *Principal, who string) string {
	if d.ids == nil || p.Type != User && who != p.ARN && who != p.RoleARN && who != p.ParentARN && who != p.UniqueID {
		return ""
	}
	return d.ids[who]
}

// Compile makes a document ready for evaluation. The kind says which elements a statement needs:
// one without Resource applies in a trust policy only. The caller fills in Name, Owner, Attached
// and the principal ids before it shares the result. A nil doc gives an Unknown document.
func Compile(doc *policy.Document, kind policy.Kind) *Document {
	if doc == nil {
		return &Document{Unknown: true}
	}
	c := &compiled{statements: make([]statement, len(doc.Statements))}
	for i := range doc.Statements {
		c.statements[i] = compileStatement(&doc.Statements[i], kind, doc.Variables())
	}
	c.index = newIndex(c.statements)
	return &Document{Source: doc, kind: kind, compiled: c}
}

// A Cache parses and compiles documents and remembers them by their content: many principals and
// keys have the same ones. Safe for concurrent use.
type Cache struct {
	limit int

	mu        sync.Mutex
	young     map[content]*Document // guarded by mu
	old       map[content]*Document // guarded by mu; what was not asked for since young was full
	hit, miss int                   // guarded by mu
}

type content struct {
	kind policy.Kind
	text string
}

// NewCache makes a cache of between limit and twice as many documents.
func NewCache(limit int) *Cache { return &Cache{limit: limit, young: map[content]*Document{}} }

// Document is the document with this text, which the caller may name. Its error is that of
// [policy.Parse]; errors are not remembered.
func (c *Cache) Document(text string, kind policy.Kind) (*Document, error) {
	d := new(Document)
	if err := c.Fill(d, text, kind); err != nil {
		return nil, err
	}
	return d, nil
}

// Fill is Document for who has room for it.
func (c *Cache) Fill(to *Document, text string, kind policy.Kind) error {
	key := content{kind, text}
	if d := c.lookup(key); d != nil {
		*to = *d
		return nil
	}
	doc, err := policy.Parse([]byte(text), kind)
	if err != nil {
		return err
	}
	d := Compile(doc, kind)
	d.text = text
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keep(key, d)
	*to = *d
	return nil
}

// Text is a text as a string, which is that of the document with this text if there is one: what is kept of many
// holders of a document has its text once.
func (c *Cache) Text(text []byte, kind policy.Kind) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if d := c.young[content{kind, string(text)}]; d != nil {
		return d.text
	}
	if d := c.old[content{kind, string(text)}]; d != nil {
		return d.text
	}
	return string(text)
}

func (c *Cache) lookup(key content) *Document {
	c.mu.Lock()
	defer c.mu.Unlock()
	d, ok := c.young[key]
	if !ok {
		if d, ok = c.old[key]; ok {
			c.keep(key, d)
		}
	}
	if ok {
		c.hit++
	} else {
		c.miss++
	}
	return d
}

func (c *Cache) keep(key content, d *Document) {
	if len(c.young) >= c.limit {
		c.old, c.young = c.young, make(map[content]*Document, c.limit)
	}
	c.young[key] = d
}

// Stats tells how many documents were found and how many had to be compiled.
func (c *Cache) Stats() (found, compiled int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.hit, c.miss
}
