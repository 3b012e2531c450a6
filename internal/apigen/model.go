package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// model is a service model as botocore publishes it (service-2.json).
type model struct {
	Metadata struct {
		APIVersion     string `json:"apiVersion"`
		EndpointPrefix string `json:"endpointPrefix"`
		Protocol       string `json:"protocol"`
		TargetPrefix   string `json:"targetPrefix"`
		XMLNamespace   string `json:"xmlNamespace"`
		SigningName    string `json:"signingName"`
	} `json:"metadata"`
	Operations map[string]*operation `json:"operations"`
	Shapes     map[string]*shape     `json:"shapes"`
}

type operation struct {
	Name string `json:"name"`
	HTTP struct {
		Method       string `json:"method"`
		RequestURI   string `json:"requestUri"`
		ResponseCode int    `json:"responseCode"`
	} `json:"http"`
	Input    *ref   `json:"input"`
	Output   *ref   `json:"output"`
	Errors   []ref  `json:"errors"`
	ReadOnly bool   `json:"readonly"`
	AuthType string `json:"authtype"`
	Unsigned bool   `json:"unsignedPayload"`
}

type ref struct {
	Shape            string `json:"shape"`
	LocationName     string `json:"locationName"`
	QueryName        string `json:"queryName"`
	ResultWrapper    string `json:"resultWrapper"`
	Flattened        bool   `json:"flattened"`
	IdempotencyToken bool   `json:"idempotencyToken"`
	Location         string `json:"location"`
}

type shape struct {
	Type            string   `json:"type"`
	Members         members  `json:"members"`
	Member          *ref     `json:"member"`
	Key             *ref     `json:"key"`
	Value           *ref     `json:"value"`
	Required        []string `json:"required"`
	Enum            []string `json:"enum"`
	Also            []string `json:"also"` // ours: values that AWS takes although its model has them not
	Own             bool     `json:"own"`  // ours: the service checks values itself, with codes of its own
	Min             *float64 `json:"min"`
	Max             *float64 `json:"max"`
	Pattern         string   `json:"pattern"`
	Sensitive       bool     `json:"sensitive"`
	Flattened       bool     `json:"flattened"`
	TimestampFormat string   `json:"timestampFormat"`
	Payload         string   `json:"payload"`
	Exception       bool     `json:"exception"`
	Fault           bool     `json:"fault"`
	Error           struct {
		Code           string `json:"code"`
		HTTPStatusCode int    `json:"httpStatusCode"`
		SenderFault    bool   `json:"senderFault"`
	} `json:"error"`
}

func (s *shape) constrained() bool {
	return s.Min != nil || s.Max != nil || s.Pattern != "" || (len(s.Enum) > 0 && len(s.Enum) <= maxEnum)
}

// members keeps the order of the model's text: it is the order of the members on the wire.
type members []member

type member struct {
	Name string
	ref
}

func (m *members) UnmarshalJSON(data []byte) error {
	dec := json.NewDecoder(strings.NewReader(string(data)))
	if _, err := dec.Token(); err != nil {
		return err
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return err
		}
		mem := member{Name: name.(string)}
		if err := dec.Decode(&mem.ref); err != nil {
			return err
		}
		*m = append(*m, mem)
	}
	return nil
}

type pager struct {
	Input  string `json:"input_token"`
	Output string `json:"output_token"`
	Limit  string `json:"limit_key"`
	More   string `json:"more_results"`
	Result any    `json:"result_key"`
}

func (p pager) results() []string {
	switch r := p.Result.(type) {
	case string:
		return []string{r}
	case []any:
		var out []string
		for _, x := range r {
			out = append(out, fmt.Sprint(x))
		}
		return out
	}
	return nil
}

// load reads a model from a flat folder (kms.json) or from botocore's layout
// (kms/<version>/service-2.json).
func load(dir, service string) (*model, map[string]pager, error) {
	var m model
	path := filepath.Join(dir, service+".json")
	if _, err := os.Stat(path); err == nil {
		if err := read(path, &m); err != nil {
			return nil, nil, err
		}
		var all map[string]map[string]pager
		if err := read(filepath.Join(dir, "paginators.json"), &all); err != nil && !os.IsNotExist(err) {
			return nil, nil, err
		}
		return &m, all[service], nil
	}
	found, _ := filepath.Glob(filepath.Join(dir, service, "*", "service-2.json"))
	if len(found) == 0 {
		return nil, nil, fmt.Errorf("no model of %s in %s", service, dir)
	}
	slices.Sort(found)
	path = found[len(found)-1]
	if err := read(path, &m); err != nil {
		return nil, nil, err
	}
	var p struct {
		Pagination map[string]pager `json:"pagination"`
	}
	if err := read(filepath.Join(filepath.Dir(path), "paginators-1.json"), &p); err != nil && !os.IsNotExist(err) {
		return nil, nil, err
	}
	return &m, p.Pagination, nil
}

// add takes over operations and shapes of a file, if there is one, that the model does not have, and
// the further values and members of those that it has.
func (m *model) add(path string) error {
	if _, err := os.Stat(path); os.IsNotExist(err) {
		return nil
	}
	var more model
	if err := read(path, &more); err != nil {
		return err
	}
	for name, op := range more.Operations {
		if m.Operations[name] == nil {
			m.Operations[name] = op
		}
	}
	for name, s := range more.Shapes {
		if have := m.Shapes[name]; have != nil {
			have.Also = s.Also
			for _, more := range s.Members {
				if !slices.ContainsFunc(have.Members, func(m member) bool { return m.Name == more.Name }) {
					have.Members = append(have.Members, more)
				}
			}
			if s.Own {
				have.Min, have.Max, have.Pattern = nil, nil, ""
			}
		} else {
			m.Shapes[name] = s
		}
	}
	return nil
}

func read(path string, v any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}
