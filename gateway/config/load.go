package config

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	"github.com/knadh/koanf/parsers/toml/v2"
	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/v2"

	"portcullis/gateway/files"
)

// Load reads the file, if there is one, and the environment, and checks the
// result. The error joins every problem.
func Load(s Source) (Config, error) {
	c := Default()
	c.offline = s.Offline
	return c.load(s)
}

func (c Config) load(s Source) (Config, error) {
	k := koanf.New("\x00") // keys are flat: no delimiter that could occur in one
	var problems []error
	name, err := c.find(s)
	if err != nil {
		problems = append(problems, err)
	} else if name != "" {
		c.File = name
		problems = append(problems, c.readFile(k, name)...)
	}
	c.warnMisspelled(os.Environ())
	if err := k.Load(confmap.Provider(environment(), ""), nil); err != nil {
		problems = append(problems, err)
	}
	problems = append(problems, c.decode(k)...)
	c.RateSet = k.Raw()["RATE_LIMIT_REQUESTS"] != nil || k.Raw()["RATE_LIMIT_WINDOW_SECONDS"] != nil
	problems = append(problems, c.checkPasted()...)
	problems = append(problems, c.check()...)
	return c, errors.Join(problems...)
}

func (c *Config) readFile(k *koanf.Koanf, name string) []error {
	parsers := map[string]koanf.Parser{
		".toml": toml.Parser(), ".json": strictJSON{}, ".yaml": yaml.Parser(), ".yml": yaml.Parser(),
	}
	p := parsers[strings.ToLower(filepath.Ext(name))]
	if p == nil {
		return []error{fmt.Errorf("%s: not a .toml, .json, .yaml or .yml file", name)}
	}
	text, err := files.Read(name)
	if err != nil {
		return []error{err}
	}
	raw, err := p.Unmarshal(text)
	if err != nil {
		return []error{fmt.Errorf("%s: %w", name, err)}
	}
	f := koanf.New("\x00")
	if err := f.Load(confmap.Provider(raw, ""), nil); err != nil {
		return []error{fmt.Errorf("%s: %w", name, err)}
	}
	known, values := keys(), map[string]any{}
	var problems []error
	for _, key := range slices.Sorted(maps.Keys(f.Raw())) {
		upper := strings.ToUpper(key)
		_, twice := values[upper]
		switch {
		case twice:
			problems = append(problems, fmt.Errorf("%s: key %s is there twice", name, upper))
		case slices.Contains(retired(), upper):
			c.Warnings = append(c.Warnings, upper+" is no longer used")
		case !known[upper]:
			problems = append(problems, fmt.Errorf("%s: unknown key %s%s", name, key, didYouMean(upper)))
		default:
			values[upper] = f.Raw()[key]
		}
	}
	if err := k.Load(confmap.Provider(values, ""), nil); err != nil {
		problems = append(problems, err)
	}
	return problems
}

// environment returns the variables that are ours and not empty.
func environment() map[string]any {
	env := map[string]any{}
	for key := range keys() {
		if v := os.Getenv(key); v != "" {
			env[key] = v
		}
	}
	return env
}

// keys are the names in the Config's tags.
func keys() map[string]bool {
	t, out := reflect.TypeFor[Config](), map[string]bool{}
	for i := range t.NumField() {
		if tag := t.Field(i).Tag.Get("cfg"); tag != "-" && tag != "" {
			out[tag] = true
		}
	}
	return out
}

// decode writes the values into c, one by one, so that each wrong one is named.
func (c *Config) decode(k *koanf.Koanf) []error {
	v, t := reflect.ValueOf(c).Elem(), reflect.TypeFor[Config]()
	var problems []error
	for i := range t.NumField() {
		tag := t.Field(i).Tag.Get("cfg")
		raw, there := k.Raw()[tag]
		if tag == "-" || !there {
			continue
		}
		switch to := v.Field(i).Addr().Interface().(type) {
		case *[]Issuer:
			problems = append(problems, decodeIssuers(to, raw)...)
			continue
		case *[]Mount:
			problems = append(problems, decodeMounts(to, raw)...)
			continue
		}
		if err := decodeOne(v.Field(i), raw); err != nil {
			// The value may be a secret, so it is not repeated.
			said := "not a " + kindName(t.Field(i).Type)
			if errors.Is(err, errRange) {
				said = "a number that is out of range"
			}
			problems = append(problems, fmt.Errorf("%s: %s", tag, said))
		}
	}
	return problems
}

// Changed names the keys whose values differ, in the order in which they are declared.
func Changed(a, b Config) []string {
	va, vb, t := reflect.ValueOf(a), reflect.ValueOf(b), reflect.TypeFor[Config]()
	var names []string
	for i := range t.NumField() {
		if tag := t.Field(i).Tag.Get("cfg"); tag != "-" && tag != "" && !reflect.DeepEqual(va.Field(i).Interface(), vb.Field(i).Interface()) {
			names = append(names, tag)
		}
	}
	return names
}

// decodeOne writes one value into a field.
func decodeOne(field reflect.Value, raw any) error {
	dec, err := mapstructure.NewDecoder(&mapstructure.DecoderConfig{
		Result: field.Addr().Interface(), WeaklyTypedInput: true, ZeroFields: true,
		DecodeHook: mapstructure.ComposeDecodeHookFunc(trim, jsonText, seconds, whole, commaList,
			mapstructure.StringToTimeDurationHookFunc(), mapstructure.TextUnmarshallerHookFunc()),
	})
	if err != nil {
		return err
	}
	return dec.Decode(raw)
}
