package launch

import (
	"slices"

	"github.com/kagimori/kagimori/internal/arn"
)

// StepKind says what a driver has to do.
type StepKind string

// Steps. Those marked "undo" also occur when an operation gives keys back.
const (
	StepResolveKey     StepKind = "resolve-key"     // Step.KeyID to a key ARN; creates aws/ebs on first use
	StepRequest        StepKind = "request"         // make the one KMS request in Step.Requests
	StepCreateVolume   StepKind = "create-volume"   // make the volume of Step.Create
	StepCreateSnapshot StepKind = "create-snapshot" // make the snapshot of Step.Create
	// StepHydrate fills it from its snapshot. How is in Step.Create. The requests are the Decrypts
	// for the data keys that are needed: of the source, of the target, or none.
	StepHydrate StepKind = "hydrate"
	StepAttach  StepKind = "attach" // record the attachment
	// StepOpenVolume makes the host open the volume: it makes the Decrypt in Requests, if there
	// is one, keeps the plaintext key in memory only, and checks that it can read.
	StepOpenVolume     StepKind = "open-volume"
	StepRunning        StepKind = "running"         // all volumes are open: run the instance
	StepCloseVolume    StepKind = "close-volume"    // undo: close it and wipe the data key
	StepDetach         StepKind = "detach"          // undo: remove the attachment
	StepDeleteVolume   StepKind = "delete-volume"   // undo
	StepDeleteSnapshot StepKind = "delete-snapshot" // undo: drop the data; the record stays, in state error
	StepDone           StepKind = "done"            // the end
	StepFail           StepKind = "fail"            // the end; see Step.Fail
)

// How says how the content of a new volume or copy comes about.
type How string

// Ways to make a volume.
const (
	HowEmpty     How = "empty"
	HowCopy      How = "copy"      // plain blocks; encrypted on the way if the target is
	HowRewrap    How = "rewrap"    // blocks stay as they are: the data key is kept, wrapped anew
	HowReencrypt How = "reencrypt" // blocks are decrypted and encrypted under a fresh data key
)

// An op is one element of a program. It is small enough to be stored and names no data: data
// is looked up in the State when the op becomes a Step.
type op struct {
	Kind    StepKind
	Device  int     // index; -1 for the operation as a whole
	Call    Call    `json:",omitempty"`
	Purpose Purpose `json:",omitempty"`
}

// program is the whole sequence for what is known so far. Everything that is learnt on the way
// and changes the sequence (key ARNs) is learnt in the leading resolve-key ops, which depend on
// the Spec only; so the part that has been executed never changes.
func program(s Spec, vols []Volume) []op {
	t, _ := s.Operation.traits()
	var ops []op
	for i, v := range vols {
		if needsResolving(v) {
			ops = append(ops, op{Kind: StepResolveKey, Device: i})
		}
	}
	if t.releases {
		for i := range vols {
			ops = append(ops, releaseOps(s, i)...)
		}
		return ops
	}
	if t.creates {
		for i, v := range vols {
			ops = append(ops, createOps(t, s.Devices[i].Source, v, i)...)
		}
	}
	for i, v := range vols {
		// A start attaches nothing but needs a new grant all the same.
		if t.opens && v.Encrypted && !t.granted {
			ops = append(ops, op{StepRequest, i, CreateGrant, ForAttach})
		}
		if t.attaches {
			ops = append(ops, op{Kind: StepAttach, Device: i})
		}
	}
	if t.opens {
		for i := range vols {
			ops = append(ops, op{Kind: StepOpenVolume, Device: i})
		}
	}
	if t.runs {
		ops = append(ops, op{Kind: StepRunning, Device: -1})
	}
	return ops
}

// needsResolving: keys of snapshots and volumes are ARNs already.
func needsResolving(v Volume) bool {
	switch v.ChosenBy {
	case ByTemplate, ByAccountDefault, ByAWSManaged:
		return true
	}
	return false
}

// how decides by the ARN alone: a shared snapshot whose key is named explicitly keeps its data key.
func how(src Source, v Volume) How {
	switch {
	case src.Kind == Empty:
		return HowEmpty
	case !src.Encrypted:
		return HowCopy
	case src.KeyARN == v.KeyARN:
		return HowRewrap
	}
	return HowReencrypt
}

// createOps makes and fills one volume or copy. The permissions that the caller needs are
// exactly those of its requests here: never Encrypt or GenerateDataKey, and DescribeKey only
// when a copy puts a new key on (Amazon EBS User Guide, "Copy an Amazon EBS snapshot").
func createOps(t traits, src Source, v Volume, i int) []op {
	request := func(c Call, p Purpose) op { return op{StepRequest, i, c, p} }
	kind := StepCreateVolume
	if t.copies {
		kind = StepCreateSnapshot
	}
	create, hydrate := op{Kind: kind, Device: i}, op{Kind: StepHydrate, Device: i}
	h := how(src, v)
	var ops []op
	if t.copies && v.Encrypted && h != HowRewrap {
		ops = append(ops, request(DescribeKey, ""))
	}
	switch {
	case !v.Encrypted && h == HowEmpty:
		return append(ops, create)
	case !v.Encrypted:
		return append(ops, create, hydrate)
	case h == HowEmpty:
		return append(ops, request(GenerateDataKey, ""), create)
	case h == HowRewrap:
		return append(ops, request(ReEncrypt, ""), create, hydrate)
	case h == HowCopy && t.copies: // a copy asks for the data key first, a volume for the grant
		return append(ops, request(GenerateDataKey, ""), request(CreateGrant, ForTarget),
			create, hydrate, request(RetireGrant, ForTarget))
	case h == HowCopy:
		return append(ops, request(CreateGrant, ForTarget), request(GenerateDataKey, ""),
			create, hydrate, request(RetireGrant, ForTarget))
	}
	return append(ops,
		request(AuthorizeReEncrypt, ""), request(GenerateDataKey, ""),
		request(CreateGrant, ForSource), request(CreateGrant, ForTarget),
		create, hydrate,
		request(RetireGrant, ForSource), request(RetireGrant, ForTarget))
}

// releaseOps gives one volume's key back.
func releaseOps(s Spec, i int) []op {
	ops := []op{{Kind: StepCloseVolume, Device: i}}
	if s.Operation != StopInstances {
		ops = append(ops, op{Kind: StepDetach, Device: i})
	}
	if s.Devices[i].Grant.ID != "" {
		ops = append(ops, op{StepRequest, i, RetireGrant, ForAttach})
	}
	if s.Operation == TerminateInstances && s.Devices[i].DeleteOnTermination {
		ops = append(ops, op{Kind: StepDeleteVolume, Device: i})
	}
	return ops
}

// undoing is what takes back the completed ops, last first.
func undoing(done []op) []op {
	var ops []op
	for _, o := range slices.Backward(done) {
		inverse := op{Device: o.Device}
		switch {
		case o.Kind == StepCreateVolume:
			inverse.Kind = StepDeleteVolume
		case o.Kind == StepCreateSnapshot:
			inverse.Kind = StepDeleteSnapshot
		case o.Kind == StepAttach:
			inverse.Kind = StepDetach
		case o.Kind == StepOpenVolume:
			inverse.Kind = StepCloseVolume
		case o.Call == CreateGrant:
			inverse = op{StepRequest, o.Device, RetireGrant, o.Purpose}
			if slices.Contains(done, inverse) {
				continue
			}
		default:
			continue
		}
		ops = append(ops, inverse)
	}
	return ops
}

// request fills in the data of a KMS request of device i.
func (s State) request(c Call, p Purpose, i int) Request {
	v, src := &s.vols[i], &s.spec.Devices[i].Source
	r := Request{
		Call: c, As: Caller, Purpose: p, KeyARN: v.KeyARN,
		Account: s.spec.Account, Instance: s.spec.InstanceID, TargetARN: s.targetARN(v),
	}
	own := map[string]string{ContextKey: v.VolumeID}
	switch c {
	case GenerateDataKey:
		r.NumberOfBytes, r.EncryptionContext = DataKeyBytes, own
	case ReEncrypt, AuthorizeReEncrypt:
		r.EncryptionContext = own
		r.SourceKeyARN, r.Ciphertext = src.KeyARN, slices.Clone(src.WrappedKey)
		r.SourceEncryptionContext = map[string]string{ContextKey: src.ContextID}
	case Decrypt:
		r.As, r.EncryptionContext, r.Ciphertext = EBS, own, slices.Clone(v.WrappedKey)
		if p == ForAttach {
			r.As = Infrastructure
		}
		if p == ForSource {
			r.KeyARN, r.Ciphertext = src.KeyARN, slices.Clone(src.WrappedKey)
			r.EncryptionContext = map[string]string{ContextKey: src.ContextID}
		}
		if t := v.grant(p).Token; t != "" {
			r.GrantTokens = []string{t}
		}
	case CreateGrant, RetireGrant:
		if p == ForSource {
			r.KeyARN = src.KeyARN
		}
		if c == RetireGrant {
			r.As = EC2
		}
		r.Grant = s.grant(p, i)
	}
	if r.As == Caller {
		r.CalledVia = append(slices.Clone(s.spec.CalledVia), EC2Service)
	}
	return r
}

// grant describes the grant of a purpose. All of them allow Decrypt only: the data key comes
// from the caller's own GenerateDataKeyWithoutPlaintext or ReEncrypt, and blocks are encrypted
// with that data key, never by KMS; unwrapping it is all that EBS and the host need.
//
// AWS does not publish the grantee of creation grants. We name the service principal of EBS,
// which is who decrypts in AWS's CloudTrail samples; a grant to a service must be constrained
// to a source ARN, and that is the volume or copy being made. The retiring principal is the one
// seen on attach grants.
func (s State) grant(p Purpose, i int) *Grant {
	v, src := &s.vols[i], &s.spec.Devices[i].Source
	id, key := v.VolumeID, v.KeyARN
	if p == ForSource {
		id, key = src.ContextID, src.KeyARN
	}
	g := &Grant{
		GrantRef:       v.grant(p),
		Grantee:        arn.InfrastructureSession(s.spec.Account, s.spec.InstanceID),
		Retiring:       ViaService(keyRegion(key)),
		Operations:     []string{string(Decrypt)},
		ContextSubset:  map[string]string{ContextKey: id},
		IssuingAccount: s.spec.Account,
	}
	if p != ForAttach {
		g.Grantee, g.ByService, g.SourceARN = EBSService, true, s.targetARN(v)
	}
	return g
}

// targetARN is the ARN of the volume or, for copies, of the snapshot. The ARN of a snapshot has
// no account as a policy resource, but a source ARN in a grant must have one.
func (s State) targetARN(v *Volume) string {
	kind := "volume/"
	if t, _ := s.spec.Operation.traits(); t.copies {
		kind = "snapshot/"
	}
	return arn.EC2(s.spec.Region, s.spec.Account, kind+v.VolumeID)
}
