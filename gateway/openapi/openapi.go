// Package openapi describes the REST interface as an OpenAPI 3.1 document that is
// made from the catalogue: an operation that exists is described, and nothing else.
package openapi

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"

	"portcullis/gateway/op"
)

// Document is an OpenAPI document (spec.openapis.org/oas/v3.1.1), as far as the
// gateway needs one.
type Document struct {
	OpenAPI    string                          `json:"openapi"`
	Info       info                            `json:"info"`
	Servers    []server                        `json:"servers"`
	Security   []map[string][]string           `json:"security"`
	Tags       []tag                           `json:"tags"`
	Paths      map[string]map[string]operation `json:"paths"`
	Components components                      `json:"components"`
}

type info struct {
	Title       string `json:"title"`
	Version     string `json:"version"`
	Description string `json:"description"`
}

type server struct {
	URL string `json:"url"`
}

type tag struct {
	Name        string `json:"name"`
	Description string `json:"description"`
}

type operation struct {
	ID          string              `json:"operationId"`
	Tags        []string            `json:"tags"`
	Summary     string              `json:"summary"`
	Description string              `json:"description"`
	Parameters  []parameter         `json:"parameters,omitempty"`
	Body        *body               `json:"requestBody,omitempty"`
	Responses   map[string]response `json:"responses"`
	Effect      op.Effect           `json:"x-effect"`
	Destructive bool                `json:"x-destructive"`
}

type parameter struct {
	Name        string             `json:"name"`
	In          string             `json:"in"`
	Required    bool               `json:"required"`
	Description string             `json:"description"`
	Schema      *jsonschema.Schema `json:"schema"`
}

type body struct {
	Required bool             `json:"required"`
	Content  map[string]media `json:"content"`
}

type media struct {
	Schema *jsonschema.Schema `json:"schema"`
}

type response struct {
	Ref         string           `json:"$ref,omitempty"`
	Description string           `json:"description,omitempty"`
	Content     map[string]media `json:"content,omitempty"`
}

type components struct {
	Schemas         map[string]*jsonschema.Schema `json:"schemas"`
	Responses       map[string]response           `json:"responses"`
	SecuritySchemes map[string]map[string]string  `json:"securitySchemes"`
}

// New describes the operations that keep returns true for; a nil keep keeps all.
func New(c *op.Catalogue, keep func(*op.Op) bool) Document {
	d := skeleton()
	engines := map[string]bool{}
	for _, o := range c.All() {
		if o.Path == "" || keep != nil && !keep(o) {
			continue
		}
		path, param := Template(o.Path)
		if d.Paths[path] == nil {
			d.Paths[path] = map[string]operation{}
		}
		d.Paths[path][strings.ToLower(o.Method)] = describe(o, param)
		engines[o.Engine] = true
	}
	d.Tags = slices.DeleteFunc(d.Tags, func(t tag) bool { return !engines[t.Name] })
	return d
}

// JSON returns the document; equal documents give equal bytes.
func (d Document) JSON() ([]byte, error) { return json.MarshalIndent(d, "", "  ") }

// Template turns a route of the catalogue into a path of OpenAPI and names its
// parameter, if there is one.
func Template(route string) (path, param string) {
	i := strings.IndexAny(route, "*:")
	if i < 0 {
		return route, ""
	}
	param, verb, found := strings.Cut(route[i+1:], ":")
	if found {
		verb = ":" + verb
	}
	return route[:i] + "{" + param + "}" + verb, param
}

func describe(o *op.Op, param string) operation {
	d := operation{
		ID: o.Name, Tags: []string{o.Engine}, Summary: o.Title, Description: o.Doc,
		Effect: o.Effect, Destructive: o.Replaces, Responses: responses(o),
	}
	if param != "" {
		p := newParameter(o, param, "path")
		if strings.Contains(o.Path, "*") {
			p.Description += "; its slashes are written as they are"
		}
		d.Parameters = append(d.Parameters, p)
	}
	if o.Method == http.MethodGet || o.Method == http.MethodDelete {
		for _, name := range slices.Sorted(maps.Keys(o.In.Properties)) {
			if name != param && name != o.Headers {
				d.Parameters = append(d.Parameters, newParameter(o, name, "query"))
			}
		}
		return d
	}
	if in := without(o.In, param); len(in.Properties) > 0 {
		d.Body = &body{Required: len(in.Required) > 0, Content: jsonContent(in)}
	}
	return d
}

func newParameter(o *op.Op, name, where string) parameter {
	s := o.In.Properties[name].CloneSchemas()
	p := parameter{Name: name, In: where, Description: s.Description, Schema: s}
	p.Required = where == "path" || slices.Contains(o.In.Required, name)
	s.Description = ""
	return p
}

// without is a schema without one of its properties.
func without(s *jsonschema.Schema, name string) *jsonschema.Schema {
	s = s.CloneSchemas()
	delete(s.Properties, name)
	is := func(n string) bool { return n == name }
	s.Required = slices.DeleteFunc(slices.Clone(s.Required), is)
	s.PropertyOrder = slices.DeleteFunc(slices.Clone(s.PropertyOrder), is)
	return s
}

func responses(o *op.Op) map[string]response {
	status := o.Status
	if status == 0 {
		status = http.StatusOK
	}
	done := response{Description: "Done.", Content: jsonContent(o.Out)}
	if status == http.StatusNoContent {
		done.Content = nil
	}
	ref := func(name string) response { return response{Ref: "#/components/responses/" + name} }
	return map[string]response{
		strconv.Itoa(status): done,
		"400":                ref("BadRequest"),
		"401":                ref("Unauthenticated"),
		"403":                ref("Denied"),
		"429":                ref("Limited"),
		"503":                ref("Unavailable"),
		"default":            ref("Failed"),
	}
}

func jsonContent(s *jsonschema.Schema) map[string]media {
	return map[string]media{"application/json": {Schema: s}}
}
