package template

import (
	"context"
	"encoding/base64"
	"regexp"
	"time"

	"github.com/kagimori/kagimori/internal/api"
	"github.com/kagimori/kagimori/internal/api/ec2api"
	"github.com/kagimori/kagimori/internal/apierr"
	"github.com/kagimori/kagimori/internal/authz"
	"github.com/kagimori/kagimori/internal/ec2/idiom"
	"github.com/kagimori/kagimori/internal/ec2/instancetype"
	"github.com/kagimori/kagimori/internal/guard"
	"github.com/kagimori/kagimori/internal/store"
)

// Limits of launch templates. Source: EC2 User Guide, "Restrictions for launch templates", and
// "Amazon EC2 instance user data".
const (
	maxTemplates   = 5000 // per region
	maxVersions    = 10000
	maxUserData    = 16 << 10 // bytes of user data
	maxDescription = 255
)

// errTooMany is a limit that was reached. Which code AWS gives for launch templates is not
// documented; this is the general one of EC2.
func errTooMany(format string, args ...any) error {
	return apierr.Newf("ResourceLimitExceeded", format, args...)
}

var validName = regexp.MustCompile(`^[a-zA-Z0-9()./_-]{3,128}$`)

// checkData checks what EC2 checks when data is saved, which is little: the rest fails at the
// launch. Source: EC2 User Guide, "Create an Amazon EC2 launch template" (parameters are not
// fully validated).
func checkData(data *ec2api.RequestLaunchTemplateData, description *string) error {
	if data == nil {
		return apierr.New("MissingParameter", "The request must contain the parameter LaunchTemplateData")
	}
	if len(api.Val(description)) > maxDescription {
		return idiom.InvalidValue("The version description must be at most %d characters long.", maxDescription)
	}
	if data.UserData != nil {
		raw, err := base64.StdEncoding.DecodeString(data.UserData.Reveal())
		if err != nil {
			return apierr.New("InvalidUserData.Malformed", "Invalid BASE64 encoding of user data.")
		}
		if len(raw) > maxUserData {
			return idiom.InvalidValue("User data is limited to %d bytes", maxUserData)
		}
	}
	if err := instancetype.CheckRequirements(data); err != nil {
		return err
	}
	names := map[string]bool{}
	for _, m := range data.BlockDeviceMappings {
		name := api.Val(m.DeviceName)
		if name != "" && names[name] {
			return apierr.Newf("InvalidBlockDeviceMapping", "The device '%s' is used in more than one block-device mapping", name)
		}
		names[name] = true
	}
	return nil
}

// templateTags reads the tags of a template. The error about another type is AWS's, with its quotation marks, as tools
// that run against AWS expect it.
func templateTags(c *guard.Call, in []ec2api.TagSpecification) (map[string][]idiom.Tag, error) {
	for _, spec := range in {
		if kind := api.Val(spec.ResourceType); kind != "" && kind != "launch-template" {
			return nil, idiom.InvalidValue("The value for the ResourceType member of the TagSpecification request parameter must be ‘launch-template’. " +
				"Verify the ResourceType and try again")
		}
	}
	return idiom.TagSpecs(c, in, "launch-template")
}

// CreateLaunchTemplate makes a template with its first version.
func (s *Service) CreateLaunchTemplate(ctx context.Context, c *guard.Call, in *ec2api.CreateLaunchTemplateRequest) (*ec2api.CreateLaunchTemplateResult, error) {
	name := api.Val(in.LaunchTemplateName)
	specs, err := templateTags(c, in.TagSpecifications)
	if err == nil {
		err = idiom.NoOperator(in.Operator)
	}
	if err != nil {
		return nil, err
	}
	tags := specs["launch-template"]
	if !validName.MatchString(name) {
		return nil, apierr.New("InvalidLaunchTemplateName.MalformedException", "A launch template name must be between 3 and 128 characters, and may contain letters, numbers, and the following characters: - ( ) . / _.")
	}
	if err := checkData(in.LaunchTemplateData, in.VersionDescription); err != nil {
		return nil, err
	}
	data, err := packData(in.LaunchTemplateData)
	if err != nil {
		return nil, err
	}
	fresh := idiom.RandomID("lt")
	out := new(ec2api.CreateLaunchTemplateResult)
	err = s.g.Update(ctx, c, func(tx store.Tx) error {
		if err := s.allowCreate(tx, c, tags); err != nil {
			return err
		}
		if err := idiom.DryRun(in.DryRun); err != nil {
			return err
		}
		token := idiom.NewToken(api.Val(in.ClientToken), idiom.Fingerprint(name, api.Val(in.VersionDescription), data, tags))
		if done, err := token.Seen(tx, c); err != nil || done != "" {
			return s.repeat(tx, c, done, out, err)
		}
		if _, taken, err := nameTable.Get(tx, c.Region, c.Account(), name); err != nil || taken {
			return idiom.OrMissing(err, "InvalidLaunchTemplateName.AlreadyExistsException", "Launch template name already in use.")
		}
		if err := checkCount(tx, c); err != nil {
			return err
		}
		now := s.g.Now().UTC().Truncate(time.Second)
		t := Template{
			ID: fresh, Name: name, Region: c.Region, Account: c.Account(), Created: now, CreatedBy: c.Caller.Principal.ARN,
			Default: 1, Latest: 1, Next: 2, Count: 1,
		}
		out.LaunchTemplate = t.wire(idiom.TagMap(tags))
		c.Touch(t.arn(), t.Account, "AWS::EC2::LaunchTemplate")
		c.Respond(out)
		v := versionRecord{Number: 1, Description: api.Val(in.VersionDescription), Created: now, CreatedBy: t.CreatedBy, Data: data}
		if err := t.put(tx); err != nil {
			return err
		}
		if err := nameTable.Put(tx, t.ID, t.Region, t.Account, t.Name); err != nil {
			return err
		}
		if err := putVersion(tx, &t, v); err != nil {
			return err
		}
		if err := idiom.PutTags(tx, t.Region, t.Account, t.ID, tags); err != nil {
			return err
		}
		return token.Remember(tx, c, now, t.ID)
	})
	return out, err
}

// allowCreate decides ec2:CreateLaunchTemplate and, for tags, ec2:CreateTags.
func (s *Service) allowCreate(tx store.Tx, c *guard.Call, tags []idiom.Tag) error {
	p := idiom.Part(c, "ec2:CreateLaunchTemplate", "launch-template/*", nil)
	idiom.AddRequestTags(&p, tags)
	parts := []authz.Part{p}
	if len(tags) > 0 {
		parts = append(parts, idiom.CreateTagsPart(c, "launch-template/*", tags, "CreateLaunchTemplate"))
	}
	_, err := s.g.Authorize(tx, c, guard.Check{Parts: parts})
	return err
}

// repeat answers a repeated request with the template that the first one made.
func (s *Service) repeat(tx store.Tx, c *guard.Call, id string, out *ec2api.CreateLaunchTemplateResult, err error) error {
	if err != nil {
		return err
	}
	t, err := Find(tx, c, id, "")
	if err != nil {
		return err
	}
	tags, err := idiom.TagsOf(tx, c.Region, c.Account(), id)
	out.LaunchTemplate = t.wire(tags)
	return err
}

// checkCount checks that the caller may have one more template.
func checkCount(tx store.Tx, c *guard.Call) error {
	n := 0
	for _, err := range nameTable.Scan(tx, c.Region, c.Account()) {
		if err != nil {
			return err
		}
		n++
	}
	if n >= maxTemplates {
		return errTooMany("You have reached the maximum number of launch templates (%d) in this Region.", maxTemplates)
	}
	return nil
}

func putVersion(tx store.Tx, t *Template, v versionRecord) error {
	return versionTable.Put(tx, v, t.Region, t.Account, t.ID, versionKey(v.Number))
}

// CreateLaunchTemplateVersion adds a version. With a source version, parameters that are not given
// are taken from that. The default version stays what it is.
func (s *Service) CreateLaunchTemplateVersion(ctx context.Context, c *guard.Call, in *ec2api.CreateLaunchTemplateVersionRequest) (*ec2api.CreateLaunchTemplateVersionResult, error) {
	if err := checkData(in.LaunchTemplateData, in.VersionDescription); err != nil {
		return nil, err
	}
	if err := resolved(in.ResolveAlias, in.LaunchTemplateData.ImageId); err != nil {
		return nil, err
	}
	data, err := packData(in.LaunchTemplateData)
	if err != nil {
		return nil, err
	}
	out := new(ec2api.CreateLaunchTemplateVersionResult)
	err = s.change(ctx, c, in.LaunchTemplateId, in.LaunchTemplateName, in.DryRun, nil, func(tx store.Tx, t *Template, _ map[string]string) error {
		token := idiom.NewToken(api.Val(in.ClientToken), idiom.Fingerprint(t.ID, api.Val(in.SourceVersion), api.Val(in.VersionDescription), data))
		if done, err := token.Seen(tx, c); err != nil || done != "" {
			if err != nil {
				return err
			}
			v, err := t.version(tx, done)
			if err != nil {
				return err
			}
			out.LaunchTemplateVersion, err = t.versionWire(v)
			return err
		}
		if t.Count >= maxVersions {
			return errTooMany("You have reached the maximum number of versions (%d) of this launch template.", maxVersions)
		}
		now := s.g.Now().UTC().Truncate(time.Second)
		v := versionRecord{Number: t.Next, Description: api.Val(in.VersionDescription), Created: now, CreatedBy: c.Caller.Principal.ARN, Data: data}
		if from := api.Val(in.SourceVersion); from != "" {
			source, err := t.version(tx, from)
			if err != nil {
				return err
			}
			if v.Data, err = source.Data.with(data); err != nil {
				return err
			}
			whole, err := v.Data.request()
			if err != nil {
				return err
			}
			if err := instancetype.CheckRequirements(&whole); err != nil {
				return err
			}
		}
		t.Latest, t.Next, t.Count = v.Number, v.Number+1, t.Count+1
		var err error
		if out.LaunchTemplateVersion, err = t.versionWire(v); err != nil {
			return err
		}
		c.Respond(out)
		if err := t.put(tx); err != nil {
			return err
		}
		if err := putVersion(tx, t, v); err != nil {
			return err
		}
		return token.Remember(tx, c, now, idiom.Int(v.Number)[0])
	})
	return out, err
}

// ModifyLaunchTemplate chooses the default version.
func (s *Service) ModifyLaunchTemplate(ctx context.Context, c *guard.Call, in *ec2api.ModifyLaunchTemplateRequest) (*ec2api.ModifyLaunchTemplateResult, error) {
	out := new(ec2api.ModifyLaunchTemplateResult)
	add := func(p *authz.Part) {
		if in.DefaultVersion != nil {
			p.Context.Set("ec2:attribute", "DefaultVersion")
			p.Context.Set("ec2:attribute/DefaultVersion", *in.DefaultVersion)
		}
	}
	err := s.change(ctx, c, in.LaunchTemplateId, in.LaunchTemplateName, in.DryRun, add, func(tx store.Tx, t *Template, tags map[string]string) error {
		if api.Val(in.DefaultVersion) == "" {
			return apierr.New("MissingParameter", "The request must contain the parameter SetDefaultVersion")
		}
		token := idiom.NewToken(api.Val(in.ClientToken), idiom.Fingerprint(t.ID, *in.DefaultVersion))
		done, err := token.Seen(tx, c)
		if err != nil {
			return err
		}
		if done == "" {
			v, err := t.version(tx, *in.DefaultVersion)
			if err != nil {
				return err
			}
			t.Default = v.Number
		}
		out.LaunchTemplate = t.wire(tags)
		c.Respond(out)
		if done != "" {
			return nil
		}
		if err := token.Remember(tx, c, s.g.Now(), t.ID); err != nil {
			return err
		}
		return t.put(tx)
	})
	return out, err
}
