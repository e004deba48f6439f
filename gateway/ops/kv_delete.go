package ops

import (
	"context"
	"regexp"

	"portcullis/gateway/call"
	"portcullis/gateway/op"
	"portcullis/gateway/vault"
)

type kvDeleteIn struct {
	secret
	All bool `json:"all,omitzero" jsonschema:"true to remove the secret for good, with every version and its metadata"`
	CAS int  `json:"cas,omitzero" jsonschema:"number of the version that must be the current one; not with all"`

	Versions []int `json:"versions,omitempty" jsonschema:"versions to soft-delete instead of the latest; not with all or cas"`
}

// Target implements op.Target.
func (in *kvDeleteIn) Target(at op.At) (call.Resource, error) {
	if in.All && in.CAS != 0 {
		return call.Resource{}, call.Errorf(call.InvalidRequest, "argument cas: Vault cannot check a version when it removes all of them; give all or cas")
	}
	if len(in.Versions) > 0 {
		if in.All || in.CAS != 0 {
			return call.Resource{}, call.Errorf(call.InvalidRequest, "argument versions: not together with all or cas")
		}
		if err := existing(in.Versions); err != nil {
			return call.Resource{}, err
		}
	}
	r, err := in.secret.Target(at)
	if err == nil {
		err = in.withoutVersion("cas", in.CAS != 0)
	}
	if err == nil {
		err = in.withoutVersion("versions", in.Versions != nil)
	}
	return r, err
}

// Destroys implements op.Destroyer.
func (in *kvDeleteIn) Destroys() bool { return in.All || in.v1 }

type okOut struct {
	OK bool `json:"ok" jsonschema:"always true"`
}

func kvDelete(ctx context.Context, s *vault.Session, in kvDeleteIn) (okOut, error) {
	var err error
	switch {
	case in.v1:
		err = s.Delete(ctx, in.full.String())
	case in.All:
		err = s.Delete(ctx, "metadata/"+in.full.String())
	case len(in.Versions) > 0:
		err = s.Put(ctx, "delete/"+in.full.String(), map[string][]int{"versions": in.Versions}, nil)
	case in.CAS != 0:
		err = in.version(ctx, s)
	default:
		err = s.Delete(ctx, "data/"+in.full.String())
	}
	return okOut{err == nil}, err
}

// version deletes a version if it is the current one. Vault has no cas for deleting;
// naming the version keeps one that is written meanwhile.
func (in *kvDeleteIn) version(ctx context.Context, s *vault.Session) error {
	var facts kvMetadataOut
	if err := s.Get(ctx, "metadata/"+in.full.String(), nil, &facts); err != nil {
		return in.missing(err)
	}
	if facts.CurrentVersion != in.CAS {
		return call.Errorf(call.CASMismatch, "cas does not match the current version, %d", facts.CurrentVersion)
	}
	return s.Put(ctx, "delete/"+in.full.String(), map[string][]int{"versions": {in.CAS}}, nil)
}

type kvSetMetadataIn struct {
	secret
	Custom      map[string]*string `json:"custom_metadata,omitempty" jsonschema:"texts of your own about the secret, none of them secret; null removes one, others stay"`
	Replace     bool               `json:"replace,omitempty" jsonschema:"whether custom_metadata is all that there is from now on, so that others do not stay"`
	MaxVersions *int               `json:"max_versions,omitempty" jsonschema:"how many are kept, 0 for the mount's own; fewer drops the oldest for good at the next write"`
	CASRequired *bool              `json:"cas_required,omitempty" jsonschema:"whether every write must say cas"`
	DeleteAfter *string            `json:"delete_version_after,omitempty" jsonschema:"how long versions written from now on live, such as 30m or 72h, 0s for ever"`
}

// Vault's bounds of custom metadata (Vault API, secret/metadata).
const (
	maxCustom      = 64
	maxCustomKey   = 128
	maxCustomValue = 512
)

var durationRE = regexp.MustCompile(`^([0-9]+|([0-9]+(\.[0-9]+)?(h|m|s|d))+)$`)

// Target implements op.Target.
func (in *kvSetMetadataIn) Target(at op.At) (call.Resource, error) {
	if (in.Custom == nil || len(in.Custom) == 0 && !in.Replace) && in.MaxVersions == nil && in.CASRequired == nil && in.DeleteAfter == nil {
		return call.Resource{}, call.Errorf(call.InvalidRequest, "nothing is set: give custom_metadata, max_versions, cas_required or delete_version_after")
	}
	if in.Replace && in.Custom == nil {
		return call.Resource{}, call.Errorf(call.InvalidRequest, "argument replace: give custom_metadata too, which replaces what is there")
	}
	if len(in.Custom) > maxCustom {
		return call.Resource{}, call.Errorf(call.InvalidRequest, "argument custom_metadata: more than %d names, which is Vault's bound", maxCustom)
	}
	for name, v := range in.Custom {
		if name == "" || len(name) > maxCustomKey || v != nil && len(*v) > maxCustomValue {
			return call.Resource{}, call.Errorf(call.InvalidRequest, "argument custom_metadata: a name has at most %d bytes and a text at most %d, which are Vault's bounds", maxCustomKey, maxCustomValue)
		}
	}
	if in.DeleteAfter != nil && !durationRE.MatchString(*in.DeleteAfter) {
		return call.Resource{}, call.Errorf(call.InvalidRequest, "argument delete_version_after: not a duration, such as 30m, 72h or 0s")
	}
	return in.onlyV2(in.writes(at))
}

// Destroys implements op.Destroyer: versions beyond the number that is kept are
// dropped for good.
func (in *kvSetMetadataIn) Destroys() bool { return in.MaxVersions != nil && *in.MaxVersions > 0 }

// kvSetMetadata changes what is given and leaves the rest. Metadata that is not there
// yet cannot be changed, only made.
func kvSetMetadata(ctx context.Context, s *vault.Session, in kvSetMetadataIn) (kvMetadataOut, error) {
	body := map[string]any{}
	if in.Custom != nil {
		body["custom_metadata"] = in.Custom
	}
	if in.MaxVersions != nil {
		body["max_versions"] = *in.MaxVersions
	}
	if in.CASRequired != nil {
		body["cas_required"] = *in.CASRequired
	}
	if in.DeleteAfter != nil {
		body["delete_version_after"] = *in.DeleteAfter
	}
	path := "metadata/" + in.full.String()
	var err error
	if !in.Replace {
		err = s.Patch(ctx, path, body, nil)
	}
	if in.Replace || call.Is(err, call.NotFound) {
		for name, v := range in.Custom {
			if v == nil {
				delete(in.Custom, name)
			}
		}
		err = s.Put(ctx, path, body, nil)
	}
	if err != nil {
		return kvMetadataOut{}, err
	}
	var out kvMetadataOut
	err = s.Get(ctx, path, nil, &out)
	return out, err
}
