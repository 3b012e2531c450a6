// Package format is the file format kagimori.launch-scenario/1: a small world (accounts, keys,
// principals, snapshots, images), one launch, and what must happen. [Parse] is strict: a file that
// does not say exactly what the format asks for is refused, with the place of everything wrong.
//
// Some things are added to the format of the shared scenarios: expected may be null, in a scenario
// of which nobody has said yet what must happen; unknown tells of facts that could not be read; a
// launch may be a CopySnapshot, whose copies are the devices of templates of kind volume; and there
// are words for failures that no shared scenario has: the step request, symptoms seen of a volume or
// snapshot, and a few rules.
package format

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
)

// Schema is the value of a scenario's member "schema".
const Schema = "kagimori.launch-scenario/1"

// A Document is a policy as the file has it: a JSON object.
type Document json.RawMessage

// MarshalJSON gives the document as it is.
func (d Document) MarshalJSON() ([]byte, error) { return json.RawMessage(d).MarshalJSON() }

// UnmarshalJSON takes the document as it is.
func (d *Document) UnmarshalJSON(data []byte) error {
	*d = bytes.Clone(data)
	return nil
}

// Compact is the document without the spaces of the file, as it is sent.
func (d Document) Compact() string {
	var buf bytes.Buffer
	if json.Compact(&buf, d) != nil {
		return string(d) // it came from elsewhere than a file: the server says what is wrong
	}
	return buf.String()
}

// A Scenario is one file. In all its types a pointer is null where the file says null, and a
// member marked opt may be missing.
type Scenario struct {
	Schema       string      `json:"schema"`
	ID           string      `json:"id"`
	Title        string      `json:"title"`
	Story        string      `json:"story"`
	Source       Source      `json:"source"`
	Tags         []string    `json:"tags"`
	Region       string      `json:"region"`
	Partition    string      `json:"partition,omitempty" format:"opt"`
	AssumesModel string      `json:"assumesModel,omitempty" format:"opt"`
	Accounts     []Account   `json:"accounts"`
	Keys         []Key       `json:"keys"`
	Principals   []Principal `json:"principals"`
	Snapshots    []Snapshot  `json:"snapshots"`
	Images       []Image     `json:"images"`
	Setup        []Step      `json:"setup,omitempty" format:"opt"`
	Launch       Launch      `json:"launch"`
	Expected     *Expected   `json:"expected"` // null: nobody has said yet what must happen
	// Unknown are facts that nobody could read: by the JSON Pointer of the value that stands in their
	// place, why they are not known.
	Unknown map[string]string `json:"unknown,omitempty" format:"opt"`

	source []byte // the file
}

// Encode is the scenario as a file. A list or map that is nil is written as an empty one.
func (s *Scenario) Encode() ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	err := enc.Encode(filled(reflect.ValueOf(s)).Interface())
	return buf.Bytes(), err
}

// filled is a copy in which no list or map is nil, but for JSON as it is written.
func filled(v reflect.Value) reflect.Value {
	out := reflect.New(v.Type()).Elem()
	out.Set(v)
	switch v.Type() {
	case reflect.TypeFor[Document](), reflect.TypeFor[Value]():
		return out
	}
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			out.Set(reflect.New(v.Type().Elem()))
			out.Elem().Set(filled(v.Elem()))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				out.Field(i).Set(filled(v.Field(i)))
			}
		}
	case reflect.Slice:
		out.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
		for i := range v.Len() {
			out.Index(i).Set(filled(v.Index(i)))
		}
	case reflect.Map:
		out.Set(reflect.MakeMap(v.Type()))
		for _, k := range v.MapKeys() {
			out.SetMapIndex(k, filled(v.MapIndex(k)))
		}
	}
	return out
}

// Source is where a scenario comes from.
type Source struct {
	URL   string `json:"url"`
	Basis string `json:"basis"` // as-posted or derived
}

// An Account with its settings by region, and the organization policies that hang on it.
type Account struct {
	ID   string         `json:"id"`
	Name string         `json:"name"`
	EBS  map[string]EBS `json:"ebs"`
	SCPs []OrgPolicy    `json:"scps"`
	RCPs []OrgPolicy    `json:"rcps"`
	Org  string         `json:"org,omitempty" format:"opt"`
}

// EBS are the settings of an account in a region.
type EBS struct {
	EncryptionByDefault bool   `json:"encryptionByDefault"`
	DefaultKmsKeyID     string `json:"defaultKmsKeyId"` // any form; alias/aws/ebs is untouched
}

// An OrgPolicy hangs on an account beside AWS's full access, or in its place.
type OrgPolicy struct {
	Name      string   `json:"name"`
	Policy    Document `json:"policy"`
	AllowList bool     `json:"allowList,omitempty" format:"opt"` // instead of full access
}

// A Key is a KMS key.
type Key struct {
	ARN     string            `json:"arn"`
	Account string            `json:"account"`
	Region  string            `json:"region"`
	Manager string            `json:"manager"` // CUSTOMER or AWS
	Spec    string            `json:"spec"`
	Usage   string            `json:"usage"`
	State   string            `json:"state"`
	Aliases []string          `json:"aliases"`
	Tags    map[string]string `json:"tags"`
	Policy  Document          `json:"policy"`
	Grants  []Grant           `json:"grants"`
}

// A Grant of a key. One that is not active gives nothing any more.
type Grant struct {
	ID               string       `json:"id"`
	GranteePrincipal string       `json:"granteePrincipal"`
	Operations       []string     `json:"operations"`
	Constraints      *Constraints `json:"constraints"`
	Status           string       `json:"status"` // active, retired or revoked
	IssuingAccount   string       `json:"issuingAccount,omitempty" format:"opt"`
}

// Constraints of a grant.
type Constraints struct {
	EncryptionContextSubset map[string]string `json:"encryptionContextSubset,omitempty" format:"opt"`
	EncryptionContextEquals map[string]string `json:"encryptionContextEquals,omitempty" format:"opt"`
}

// A Principal is a role or a user.
type Principal struct {
	ARN      string         `json:"arn"`
	Kind     string         `json:"kind"` // role, user or service-linked-role
	ID       string         `json:"id,omitempty" format:"opt"`
	Policies []InlinePolicy `json:"policies"`
	Boundary Document       `json:"boundary,omitempty" format:"opt"`
}

// An InlinePolicy of a principal.
type InlinePolicy struct {
	Name   string   `json:"name"`
	Policy Document `json:"policy"`
}

// A Snapshot is a source of volumes.
type Snapshot struct {
	ID         string   `json:"id"`
	Owner      string   `json:"owner"`
	Encrypted  bool     `json:"encrypted"`
	Key        *string  `json:"key"`
	SharedWith []string `json:"sharedWith"`
}

// An Image is a machine image.
type Image struct {
	ID         string        `json:"id"`
	Owner      string        `json:"owner"`
	SharedWith []string      `json:"sharedWith"`
	Devices    []ImageDevice `json:"devices"`
}

// An ImageDevice is a mapping of an image.
type ImageDevice struct {
	Device     string `json:"device"`
	SnapshotID string `json:"snapshotId"`
}

// A Step is a direct call to KMS that a principal of the scenario makes before the launch.
type Step struct {
	Call   string `json:"call"`
	As     string `json:"as"`
	Params Params `json:"params"`
}

// Params of a Step: which are there depends on the call.
type Params struct {
	Key              string       `json:"key"`
	Policy           Document     `json:"policy,omitempty" format:"opt"`
	Bypass           bool         `json:"bypassPolicyLockoutSafetyCheck,omitempty" format:"opt"`
	GranteePrincipal string       `json:"granteePrincipal,omitempty" format:"opt"`
	Operations       []string     `json:"operations,omitempty" format:"opt"`
	Constraints      *Constraints `json:"constraints,omitempty" format:"opt"`
}

// A Launch is what is asked for in the end.
type Launch struct {
	Operation       string           `json:"operation"`
	Account         string           `json:"account"`
	Caller          *string          `json:"caller"`
	Group           *Group           `json:"group,omitempty" format:"opt"`
	Templates       []Template       `json:"templates"`
	ExistingVolumes []ExistingVolume `json:"existingVolumes,omitempty" format:"opt"`
}

// A Group is the Auto Scaling group of a launch.
type Group struct {
	Name                 string  `json:"name"`
	Desired              int32   `json:"desired"`
	ServiceLinkedRoleARN *string `json:"serviceLinkedRoleArn"`
}

// A Template says what is launched.
type Template struct {
	Name          string        `json:"name"`
	Kind          string        `json:"kind"`   // launch-template, launch-configuration or volume
	Market        string        `json:"market"` // on-demand, spot or mixed
	ImageID       *string       `json:"imageId"`
	InstanceTypes []string      `json:"instanceTypes"`
	BlockDevices  []BlockDevice `json:"blockDevices"`
}

// A BlockDevice is a mapping of a template.
type BlockDevice struct {
	Device string      `json:"device"`
	EBS    BlockVolume `json:"ebs"`
}

// A BlockVolume is what a mapping says of its volume; nil and "" are absent.
type BlockVolume struct {
	Encrypted  *bool  `json:"encrypted,omitempty" format:"opt"`
	KmsKeyID   string `json:"kmsKeyId,omitempty" format:"opt"`
	SnapshotID string `json:"snapshotId,omitempty" format:"opt"`
	VolumeSize int32  `json:"volumeSize,omitempty" format:"opt"`
	VolumeType string `json:"volumeType,omitempty" format:"opt"`
}

// An ExistingVolume is there before the launch: on a stopped instance, or free.
type ExistingVolume struct {
	ID     string  `json:"id"`
	Device string  `json:"device"`
	Key    *string `json:"key"`
}

// Expected is what must happen.
type Expected struct {
	Launches  bool             `json:"launches"`
	Setup     []ExpectedStep   `json:"setup,omitempty" format:"opt"`
	Volumes   []ExpectedVolume `json:"volumes"`
	Templates map[string]bool  `json:"templates,omitempty" format:"opt"`
	Failures  []Failure        `json:"failures"`
	Symptom   *Symptom         `json:"symptom"`
	Fix       *Fix             `json:"fix"`
	Warnings  []string         `json:"warnings"`
}

// An ExpectedStep is how a step of the setup ends.
type ExpectedStep struct {
	OK    bool   `json:"ok"`
	Error string `json:"error,omitempty" format:"opt"`
	Rule  string `json:"rule,omitempty" format:"opt"`
}

// An ExpectedVolume is a device whose key can be determined.
type ExpectedVolume struct {
	Template  *string `json:"template"`
	Device    string  `json:"device"`
	Encrypted bool    `json:"encrypted"`
	Key       *string `json:"key"`
	ChosenBy  string  `json:"chosenBy"`
}

// A Failure is the first refused step of a device.
type Failure struct {
	Template  *string  `json:"template"`
	Device    *string  `json:"device"`
	Step      string   `json:"step"`
	Principal *string  `json:"principal"`
	Actions   []string `json:"actions"`
	Key       *string  `json:"key"`
	Rule      string   `json:"rule"`
	Where     *string  `json:"where"`
}

// A Symptom is what a user sees of a failure.
type Symptom struct {
	SeenBy              string    `json:"seenBy"` // auto-scaling-activity, instance or api
	ActivityStatusCode  *string   `json:"activityStatusCode"`
	InstanceEndsAs      *string   `json:"instanceEndsAs"`
	StateReasonMessages []string  `json:"stateReasonMessages"`
	APIError            *APIError `json:"apiError"`
}

// An APIError is the refusal of a call.
type APIError struct {
	Operation string `json:"operation"`
	Code      string `json:"code"`
}

// A Fix is a change of the scenario after which it launches, with other such changes.
type Fix struct {
	Kind         string        `json:"kind"`
	Summary      string        `json:"summary"`
	Patch        []Edit        `json:"patch"`
	Alternatives []Alternative `json:"alternatives"`
}

// An Alternative to a Fix.
type Alternative struct {
	Kind    string `json:"kind"`
	Summary string `json:"summary"`
	Patch   []Edit `json:"patch"`
}

// An Edit is one operation of a JSON Patch (RFC 6902).
type Edit struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	From  string `json:"from,omitempty" format:"opt"`
	Value Value  `json:"value,omitempty" format:"opt"`
}

// A Value is any JSON value; nil is absent.
type Value json.RawMessage

// MarshalJSON gives the value as it is.
func (v Value) MarshalJSON() ([]byte, error) { return json.RawMessage(v).MarshalJSON() }

// UnmarshalJSON takes the value as it is.
func (v *Value) UnmarshalJSON(data []byte) error {
	*v = bytes.Clone(data)
	return nil
}

// Patches are the fix's patch and those of its alternatives.
func (f *Fix) Patches() [][]Edit {
	out := [][]Edit{f.Patch}
	for _, a := range f.Alternatives {
		out = append(out, a.Patch)
	}
	return out
}

// Key is the scenario's key of an ARN, or nil.
func (s *Scenario) Key(arn string) *Key {
	if i := slices.IndexFunc(s.Keys, func(k Key) bool { return k.ARN == arn }); i >= 0 {
		return &s.Keys[i]
	}
	return nil
}

// MadeBySetup reports whether a step of the setup makes the key.
func (s *Scenario) MadeBySetup(arn string) bool {
	return slices.ContainsFunc(s.Setup, func(st Step) bool { return st.Call == CallCreateKey && st.Params.Key == arn })
}
