package callers

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// PolicyName is the name of a caller's policy in Vault: the prefix and the
// subject. Vault writes policy names in lower case, and subjects are not unique
// across tenants, so what such a name would lose is added as a hash behind "~". A name
// that has a "~" of its own gets one too, so none can look like another and its hash;
// two callers never share a policy.
func PolicyName(prefix, callerKey string) string {
	tenant, subject, _ := strings.Cut(callerKey, "/")
	name := subject
	if tenant != "" {
		name = tenant + ":" + subject
	}
	if lower := strings.ToLower(name); lower != name || strings.Contains(name, "~") {
		sum := sha256.Sum256([]byte(name))
		name = lower + "~" + hex.EncodeToString(sum[:8])
	}
	return prefix + name
}

// EnginePolicyName is the name of a subject's policy for operations on an engine, made of
// its PolicyName. Vault works out a token's rights with each request, from all that the
// token's policies say, so a token has those alone that its requests may need.
func EnginePolicyName(name, engine string) string {
	if engine == "" {
		return name
	}
	return name + AdditionalMark + engine
}

// Policies are what Vault lets a caller do, in Vault's own language (HCL). One
// subject may come with credentials of different rights. What it may by itself is
// the policy that bears its name; what a credential may beyond that is a policy
// named after its own text, so that no credential ever changes what another may.
type Policies struct {
	Subject    string // what the subject may by itself, empty for nothing
	Additional string // what this credential may beyond that, empty for nothing
	Replaces   bool   // Additional holds all rights of the credential, because it lacks some of Subject
}

// Texts are the policies of a credential's tokens by name; subject is the name of the
// subject's.
func (p Policies) Texts(subject string) map[string]string {
	t := map[string]string{}
	for _, name := range p.names(subject) {
		t[name] = p.Subject
		if name != subject {
			t[name] = p.Additional
		}
	}
	return t
}

// SubjectOf is whose policy bears a name, if that can be told.
func SubjectOf(prefix, name string) (tenant, subject string, ok bool) {
	name, ok = strings.CutPrefix(name, prefix)
	name, _, _ = strings.Cut(name, AdditionalMark)
	if end := strings.LastIndexByte(name, '~'); end >= 0 {
		sum := sha256.Sum256([]byte(name[:end]))
		ok = ok && name[end+1:] == hex.EncodeToString(sum[:8]) // else there were capitals, and which cannot be told
		name = name[:end]
	}
	tenant, subject, with := strings.Cut(name, ":")
	if !with {
		tenant, subject = "", tenant
	}
	return tenant, subject, ok && subject != ""
}

// names are the policies of a credential's tokens, none when it may do nothing.
func (p Policies) names(subject string) (names []string) {
	if p.Subject != "" && !p.Replaces {
		names = append(names, subject)
	}
	if p.Additional != "" {
		names = append(names, additionalName(subject, sumOf(p.Additional)))
	}
	return names
}

// AdditionalMark is between the name of a subject, which cannot hold it, and the engine that
// a policy is for, and before what names the policy of one credential.
const AdditionalMark = "+"

func additionalName(subject string, text sum) string {
	return subject + AdditionalMark + hex.EncodeToString(text[:8])
}
