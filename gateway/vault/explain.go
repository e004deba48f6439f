package vault

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"portcullis/gateway/call"
)

// explained is what an error of Vault's means: a code and a sentence that says what the
// caller can do about it. The texts are those of Vault 1.21.
type explained struct {
	has  string         // a part of Vault's text, in lower case
	code call.Code      //
	msg  string         // one {} stands for what name finds
	name *regexp.Regexp // its first group is a name, a number or a list of names
}

var (
	keyType   = regexp.MustCompile(`key type ([a-z0-9-]{1,64})`)
	suiteType = regexp.MustCompile(`suite ([a-z0-9-]{1,64})`)
	ofType    = regexp.MustCompile(`of type ([A-Za-z0-9@.-]{1,64})`)
	maximum   = regexp.MustCompile(`maximum allowed ([0-9]{1,18})`)
	principal = regexp.MustCompile(`([^\s";\\<>]{1,255}) is not a valid value`)
	bracketed = regexp.MustCompile(`\[([\w@., -]{1,255})\]`)
	certType  = regexp.MustCompile(`cert_type '([a-z]{1,16})'`)
	fieldName = regexp.MustCompile(`field "([a-z_]{1,64})"`)
	wantedKey = regexp.MustCompile(`keys of type ([a-z0-9]{1,16})`)
	latestKey = regexp.MustCompile(`latest key version is ([0-9]{1,9})`)
)

// explanations are looked through in their order: the first that fits holds.
var explanations = sync.OnceValue(func() []explained {
	return slices.Concat(textsLeases(), textsTransit(), textsDatabases(), textsSSH(), textsTOTP(), textsPKI(), textsAnything())
})

// textsLeases are those of leases and mounts.
func textsLeases() []explained {
	return []explained{
		{has: "lease not found", code: call.NotFound, msg: "not found"},
		{has: "lease is not renewable", code: call.InvalidRequest, msg: "the lease cannot be renewed"},
		{has: "lease expired", code: call.NotFound, msg: "the lease has ended"},
		{has: "no handler for route", code: call.VaultError, msg: "Vault has no secrets engine at the mount of this operation; an administrator must enable it or correct the mount's setting"},
	}
}

// textsTransit are those of transit.
func textsTransit() []explained {
	return []explained{
		{has: "key not found", code: call.NotFound, msg: "there is no key of this name"},
		{has: "unknown key type none", code: call.NotFound, msg: "there is no key of this name"},
		{has: "missing 'context'", code: call.InvalidRequest, msg: "argument context: missing; the key is a derived one and needs it, in base64"},
		{has: "associated_data/additional_data", code: call.InvalidRequest, msg: "argument associated_data: not base64"},
		{has: "base64-decode context", code: call.InvalidRequest, msg: "argument context: not base64"},
		{has: "verification hmac as base64", code: call.InvalidRequest, msg: "argument hmac: not of the form vault:v1:..., with base64 behind it"},
		{has: "invalid base64 signature", code: call.InvalidRequest, msg: "argument signature: not of the form vault:v1:..., with base64 behind it"},
		{has: "supplied signature is invalid", code: call.InvalidRequest, msg: "argument signature: not of the form that signatures of this key have; see marshaling_algorithm"},
		{has: "failed to parse public_key", code: call.InvalidRequest, msg: "argument public_key: not a public key that Vault can read"},
		{has: "unable to decode input", code: call.InvalidRequest, msg: "argument input: not base64; encode it, or say that encoding is text"},
		{has: "could not decode base64", code: call.InvalidRequest, msg: "argument ciphertext: not of the form vault:v1:..., with base64 behind it"},
		{has: "illegal base64 data", code: call.InvalidRequest, msg: "an argument is not base64: encode plaintext, context and associated_data, or say that encoding is text for the plaintext"},
		{has: "higher than the latest key version", code: call.InvalidRequest, msg: "argument key_version: the key has no such version yet"},
		{has: "key version does not exist", code: call.InvalidRequest, msg: "argument key_version: the key has no such version; the latest is {}", name: latestKey},
		{has: "no such key version", code: call.InvalidRequest, msg: "argument key_version: the key has no such version any more"},
		{has: "version is negative", code: call.InvalidRequest, msg: "argument key_version: negative"},
		{has: "version is too new", code: call.InvalidRequest, msg: "the ciphertext, signature or HMAC names a version that the key does not have"},
		{has: "disallowed by policy (too old)", code: call.InvalidRequest, msg: "the ciphertext, signature or HMAC was made with a version that the key does not allow any more"},
		{has: "not supported for key type", code: call.InvalidRequest, msg: "a key of type {} cannot do this; use a key of another type", name: keyType},
		{has: "does not support signing", code: call.InvalidRequest, msg: "a key of type {} cannot sign or verify; use a key of another type, or an HMAC", name: keyType},
		{has: "non-aead cipher suite", code: call.InvalidRequest, msg: "argument associated_data: a key of type {} takes none", name: suiteType},
		{has: "message authentication failed", code: call.InvalidRequest, msg: "the ciphertext cannot be decrypted: it was changed, or made with another key, context or associated_data"},
		{has: "decryption error", code: call.InvalidRequest, msg: "the ciphertext cannot be decrypted: it was changed, or made with another key"},
		{has: "message too long for rsa", code: call.InvalidRequest, msg: "the plaintext is too long for an RSA key; encrypt it with a data key (transit.datakey)"},
		{has: "requires both prehashed", code: call.InvalidRequest, msg: "argument hash_algorithm: none needs prehashed true and signature_algorithm pkcs1v15"},
		{has: "input must be hashed message", code: call.InvalidRequest, msg: "argument input: a prehashed input must be a digest of hash_algorithm"},
		{has: "invalid ciphertext", code: call.InvalidRequest, msg: "argument ciphertext: not of the form vault:v1:..., as this key made it"},
		{has: "invalid signature", code: call.InvalidRequest, msg: "argument signature: not of the form vault:v1:..."},
		{has: "invalid hmac", code: call.InvalidRequest, msg: "argument hmac: not of the form vault:v1:..."},
		{has: "unsupported algorithm", code: call.InvalidRequest, msg: "argument algorithm: not one that Vault has"},
	}
}

// textsDatabases are those of the database engine, and of databases themselves.
func textsDatabases() []explained {
	return []explained{
		{has: "unknown role", code: call.NotFound, msg: "there is no role of this name"},
		{has: "failed to find entry for connection", code: call.VaultError, msg: "the role is for a database connection that Vault does not have; an administrator must configure it"},
		{has: "failed to connect to", code: call.VaultUnavailable, msg: databaseAway},
		{has: "connection refused", code: call.VaultUnavailable, msg: databaseAway},
		{has: "no such host", code: call.VaultUnavailable, msg: databaseAway},
		{has: "no route to host", code: call.VaultUnavailable, msg: databaseAway},
		{has: "dial tcp", code: call.VaultUnavailable, msg: databaseAway},
		{has: "dial error", code: call.VaultUnavailable, msg: databaseAway},
		{has: "error verifying connection", code: call.VaultUnavailable, msg: databaseAway},
		{has: "bad connection", code: call.VaultUnavailable, msg: databaseAway},
		{has: "database system is", code: call.VaultUnavailable, msg: databaseAway}, // PostgreSQL: starting up, shutting down
		{has: "too many clients", code: call.VaultUnavailable, msg: databaseAway},
		{has: "connection slots are reserved", code: call.VaultUnavailable, msg: databaseAway},
		{has: "too many connections", code: call.VaultUnavailable, msg: databaseAway},
	}
}

// textsSSH are those of SSH.
func textsSSH() []explained {
	return []explained{
		{has: "ttl is larger than maximum", code: call.InvalidRequest, msg: "argument ttl: longer than the role allows; the maximum is {} seconds", name: maximum},
		{has: "for valid_principals", code: call.InvalidRequest, msg: "argument valid_principals: the role does not allow {}", name: principal},
		{has: "empty valid principals", code: call.InvalidRequest, msg: "argument valid_principals: missing; the role has none of its own"},
		{has: "extensions [", code: call.InvalidRequest, msg: "argument extensions: the role does not allow {}", name: bracketed},
		{has: "critical options not on allowed list", code: call.InvalidRequest, msg: "argument critical_options: the role does not allow {}", name: bracketed},
		{has: "cert_type '", code: call.InvalidRequest, msg: "argument cert_type: the role makes no certificates of type {}; it may be one for one-time passwords", name: certType},
		{has: keyIDRefused, code: call.InvalidRequest, msg: "argument key_id: the role does not allow it"},
		{has: "public_key failed to meet", code: call.InvalidRequest, msg: "argument public_key: the role does not take keys of type {} or of this length", name: ofType},
		{has: "unsupported signature algorithm", code: call.VaultError, msg: "the role signs with an algorithm that the CA's key does not have; an administrator must correct the role"},
		{has: "ip does not belong to role", code: call.InvalidRequest, msg: "argument ip: not one that the role makes passwords for; the role may be one for certificates"},
		{has: "invalid ip", code: call.InvalidRequest, msg: "argument ip: not an IP address"},
		{has: "username is not present", code: call.InvalidRequest, msg: "argument username: the role does not allow it"},
		{has: "missing username", code: call.InvalidRequest, msg: "argument username: missing; the role has none of its own"},
		{has: "role \"", code: call.NotFound, msg: "there is no role of this name"}, // Role "x" not found
	}
}

// textsTOTP are those of TOTP.
func textsTOTP() []explained {
	return []explained{
		{has: "code already used", code: call.InvalidRequest, msg: "argument code: it was verified already, and each code is good for one try, right or wrong; wait for the key's next code (30 seconds, unless the key has another period)"},
		{has: "code value is required", code: call.InvalidRequest, msg: "argument code: missing"},
		{has: "unknown key:", code: call.NotFound, msg: "there is no key of this name"},
	}
}

// textsPKI are those of PKI.
func textsPKI() []explained {
	return []explained{
		{has: "common name ", code: call.InvalidRequest, msg: "argument common_name: the role makes no certificates of this name"},
		{has: "subject alternate name ", code: call.InvalidRequest, msg: "arguments common_name and alt_names: the role makes no certificates of one of these names"},
		{has: "ip subject alternative names are not allowed", code: call.InvalidRequest, msg: "argument ip_sans: the role makes no certificates of addresses"},
		{has: "beyond the expiration of the ca", code: call.InvalidRequest, msg: "argument ttl: longer than the CA lives; ask for less"},
		{has: "role requires keys of type", code: call.InvalidRequest, msg: "argument csr: the role wants a key of type {}", name: wantedKey},
		{has: "role requires a minimum of", code: call.InvalidRequest, msg: "argument csr: the key is shorter than the role allows"},
		{has: "presented cert from any present issuer", code: call.InvalidRequest, msg: "argument certificate: no CA of this mount has signed it; name the mount that it was issued by"},
	}
}

// textsAnything are those of any engine.
func textsAnything() []explained {
	return []explained{
		{has: "invalid number syntax", code: call.InvalidRequest, msg: "a number is too large or too small for Vault; send it as a string"},
		{has: "string value exceeds allowed length", code: call.InvalidRequest, msg: "a string is longer than Vault takes, 1 MiB; split it"},
		{has: "exceeds allowed nesting depth", code: call.InvalidRequest, msg: "the JSON is nested deeper than Vault takes"},
		{has: "exceeds allowed", code: call.InvalidRequest, msg: "the JSON has more elements than Vault takes; split it"},
		{has: "field validation failed", code: call.InvalidRequest, msg: "argument {}: not a value that Vault takes", name: fieldName},
		{has: "missing client token", code: call.VaultAuth, msg: "Vault no longer accepts the gateway"},
	}
}

const (
	databaseAway = "what stands behind Vault for this, such as the database, does not answer; try again later"
	keyIDRefused = "setting key_id is not allowed"
)

// maxExplained is how many bytes of a text of Vault's are looked through for what it means.
const maxExplained = 8 << 10

// explain finds what an error text of Vault's means, nil for one that is not known. The
// error has no cause yet.
func explain(text string) *call.Error {
	text = text[:min(len(text), maxExplained)]
	low := strings.ToLower(text)
	for _, e := range explanations() {
		if !strings.Contains(low, e.has) {
			continue
		}
		msg := e.msg
		if e.name != nil {
			found := e.name.FindStringSubmatch(text)
			if found == nil {
				found = []string{"", "what was asked for"}
			}
			msg = strings.Replace(msg, "{}", found[1], 1)
		}
		err := call.Errorf(e.code, "%s", msg)
		switch {
		case e.code == call.VaultUnavailable:
			err.RetryAfter, err.Err = time.Second, errAnswered
		case e.has == keyIDRefused:
			err.Err = ErrKeyID
		}
		return err
	}
	return nil
}

// errAnswered marks a failure of something behind Vault: Vault itself has answered.
var errAnswered = errors.New("vault has answered")

// ErrKeyID says that an SSH role lets nobody choose a key id (allow_user_key_ids).
var ErrKeyID = errors.New("the role does not allow key ids")

// ItemError is what is wrong with one item of a batch, from Vault's text about it. sent
// is what the item was sent with; nothing of it gets into the error's cause.
func ItemError(text string, sent any) *call.Error {
	e := explain(text)
	if e == nil {
		e = call.Errorf(call.InvalidRequest, "Vault refused the item as invalid")
	}
	e.Err = errors.Join(e.Err, errors.New("vault's text about the item: "+unsent(clip(text), encoded(sent))))
	return e
}
