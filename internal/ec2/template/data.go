package template

import (
	"fmt"
	"maps"

	json "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/secret"
)

// versionData is launch template data as stored: exactly the members that were sent. User data
// is a secret to every printer, JSON included, and so has its own place.
type versionData struct {
	Members  jsontext.Value `json:"members"`
	UserData *string        `json:"userData,omitempty"`
}

// packData turns the data of a request into what is stored.
func packData(in *ec2api.RequestLaunchTemplateData) (versionData, error) {
	var out versionData
	plain := *in
	if in.UserData != nil {
		out.UserData = new(in.UserData.Reveal())
		plain.UserData = nil
	}
	var err error
	out.Members, err = json.Marshal(plain, json.OmitZeroStructFields(true), json.Deterministic(true))
	return out, err
}

// request is the data as it was sent.
func (d versionData) request() (out ec2api.RequestLaunchTemplateData, err error) {
	if err = json.Unmarshal(d.Members, &out); err != nil {
		return out, fmt.Errorf("ec2: stored launch template data: %w", err)
	}
	out.UserData = d.userData()
	return out, nil
}

// response is the data as answers carry it. Requests and answers have the same members, by name.
func (d versionData) response() (*ec2api.ResponseLaunchTemplateData, error) {
	out := new(ec2api.ResponseLaunchTemplateData)
	if err := json.Unmarshal(d.Members, out); err != nil {
		return nil, fmt.Errorf("ec2: stored launch template data: %w", err)
	}
	out.UserData = d.userData()
	return out, nil
}

func (d versionData) userData() *secret.String {
	if d.UserData == nil {
		return nil
	}
	return new(secret.String(*d.UserData))
}

// with is the data with the members that over has in place of its own.
func (d versionData) with(over versionData) (versionData, error) {
	var base, top map[string]jsontext.Value
	if err := json.Unmarshal(d.Members, &base); err != nil {
		return d, fmt.Errorf("ec2: stored launch template data: %w", err)
	}
	if err := json.Unmarshal(over.Members, &top); err != nil {
		return d, fmt.Errorf("ec2: stored launch template data: %w", err)
	}
	maps.Copy(base, top)
	out := versionData{UserData: d.UserData}
	if over.UserData != nil {
		out.UserData = over.UserData
	}
	var err error
	out.Members, err = json.Marshal(base, json.Deterministic(true))
	return out, err
}
