package launch

// ChosenBy says which rule chose the key.
type ChosenBy string

// Rules, in their order of precedence.
const (
	ByTemplate       ChosenBy = "template"        // KmsKeyId of the request, mapping or template
	BySnapshot       ChosenBy = "snapshot"        // key of an own encrypted snapshot
	ByAccountDefault ChosenBy = "account-default" // default key of account and region
	ByAWSManaged     ChosenBy = "aws-managed"     // only CopySnapshot: aws/ebs, whatever the default key
	ByExisting       ChosenBy = "existing"        // the volume has its key already
	ByNone           ChosenBy = "none"            // not encrypted
)

// A Choice is the key of one device. KeyID is "" if and only if the device is not encrypted;
// otherwise it is the identifier as configured, in any form.
type Choice struct {
	Encrypted bool
	KeyID     string `json:",omitempty"`
	ChosenBy  ChosenBy
}

// KeyInput is what the choice of a key depends on.
type KeyInput struct {
	Encrypted *bool  // the parameter; nil if absent
	KmsKeyID  string // the parameter; "" if absent
	Source    Source // only Kind, Owned, Encrypted and KeyARN matter
	Defaults  Defaults
}

// A ParameterError is a combination of parameters that EC2 refuses at once.
type ParameterError struct{ Code, Message string }

func (e *ParameterError) Error() string { return e.Code + ": " + e.Message }

// errDependency: a key without Encrypted is refused even if encryption by default is on.
func errDependency() error {
	return &ParameterError{
		Code:    "InvalidParameterDependency",
		Message: "The parameter KmsKeyId requires the parameter Encrypted to be set.",
	}
}

// ChooseKey chooses the key of a new volume, of a mapping of CopyImage, or tells that of an
// existing volume. The only error is a [*ParameterError] with code InvalidParameterDependency.
//
// Precedence: the given key; else the key of an encrypted snapshot that the account owns; else,
// if encryption is wanted, the account's default key; else none. Encryption is wanted if the
// parameter, the account setting or the source says so: nothing ever takes encryption away, and
// so Encrypted=false on an encrypted source is accepted and ignored (AWS does not say which of
// error and ignoring it does). A snapshot shared by another account never keeps its key.
//
// Source: Amazon EBS User Guide, "How Amazon EBS encryption works", table of encryption outcomes.
func ChooseKey(in KeyInput) (Choice, error) {
	asked := in.Encrypted != nil && *in.Encrypted
	src := in.Source
	switch {
	case in.KmsKeyID != "" && !asked:
		return Choice{}, errDependency()
	case src.Kind == Existing && src.Encrypted:
		return Choice{true, src.KeyARN, ByExisting}, nil
	case src.Kind == Existing:
		return Choice{ChosenBy: ByNone}, nil
	case in.KmsKeyID != "":
		return Choice{true, in.KmsKeyID, ByTemplate}, nil
	case src.Encrypted && src.Owned:
		return Choice{true, src.KeyARN, BySnapshot}, nil
	case asked || src.Encrypted || in.Defaults.EncryptionByDefault:
		return Choice{true, in.Defaults.key(), ByAccountDefault}, nil
	}
	return Choice{ChosenBy: ByNone}, nil
}

// ChooseCopyKey chooses the key of a snapshot made by CopySnapshot. It differs from [ChooseKey]
// for an encrypted source without a key id: the copy gets the default key if encryption by
// default is on, else aws/ebs, whoever owns the source. That is AWS's current table. Its older
// guide, and CopyImage to this day, keep the key of an own snapshot: keepKey chooses that.
//
// AWS says that Encrypted cannot be set to false here; it is accepted and ignored, because some
// clients send the zero value.
//
// Source: Amazon EBS User Guide, "Copy an Amazon EBS snapshot", encryption outcomes.
func ChooseCopyKey(in KeyInput, keepKey bool) (Choice, error) {
	if keepKey || in.KmsKeyID != "" || !in.Source.Encrypted {
		return ChooseKey(in)
	}
	if in.Defaults.EncryptionByDefault {
		return Choice{true, in.Defaults.key(), ByAccountDefault}, nil
	}
	return Choice{true, AWSManagedAlias, ByAWSManaged}, nil
}

// choose applies the table of the operation to a device.
func (s Spec) choose(d Device) (Choice, error) {
	in := KeyInput{d.Encrypted, d.KmsKeyID, d.Source, s.Defaults}
	if s.Operation == CopySnapshot {
		return ChooseCopyKey(in, s.CopyKeepsKey)
	}
	return ChooseKey(in)
}
