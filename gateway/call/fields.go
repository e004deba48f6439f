package call

import "encoding/json"

// Fields are the fields of a secret that may be shown. The zero Fields shows all. It
// can be compared, so that terms can.
type Fields struct{ list string }

// OnlyFields shows the named fields and no other; nil shows all.
func OnlyFields(names []string) Fields {
	if names == nil {
		return Fields{}
	}
	raw, err := json.Marshal(names)
	if err != nil {
		return Fields{"[]"} // cannot be: texts can be written
	}
	return Fields{string(raw)}
}

// All reports whether every field may be shown.
func (f Fields) All() bool { return f.list == "" }

// Names are the fields that may be shown, if not all.
func (f Fields) Names() (names []string) {
	if json.Unmarshal([]byte(f.list), &names) != nil {
		return nil
	}
	return names
}
